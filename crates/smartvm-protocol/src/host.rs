//! What the host says.

use std::net::IpAddr;

use crate::field::{FieldFault, Value};
use crate::generation::{Features, SessionKind};
use crate::hidden::Hidden;
use crate::message::messages;
use crate::shared::{Lost, Prefix, TerminalSize};

messages! {
    /// The first frame of every connection.
    pub Hello {
        /// The newest generation that the host speaks; both go on with the lower one.
        1 generation: u16,
        /// What the host can do beyond its generation: nothing yet.
        2 features: Features,
        /// What the connection is for.
        3 session: SessionKind,
    }

    /// Runs a program.
    pub StartExec {
        /// The program and its arguments. A program without `/` is looked for in the directories of `PATH`.
        1 argv: Vec<Vec<u8>>,
        /// `NAME=VALUE` each; of a name that comes twice the last counts. Unless given, `PATH` is the usual one of root,
        /// `HOME`, `USER` and `LOGNAME` are the user's, and `TERM` is `xterm` for a program with a terminal.
        2 env: Vec<Hidden>,
        /// The working directory, `/` by default.
        3 cwd: Option<Vec<u8>>,
        /// `USER[:GROUP]`, each a name of the guest or a number; root by default. Without a group it is the user's own,
        /// with the further groups that the guest gives the user.
        4 user: Option<Vec<u8>>,
        /// Further groups, by name or number, instead of those.
        5 groups: Vec<Vec<u8>>,
        /// Gives the program a terminal of this size instead of pipes; its errors are then part of its output.
        6 terminal: Option<TerminalSize>,
        /// Whether `Stdin` frames will come; else the program's input is empty.
        7 stdin: bool,
        /// What becomes of the program when the connection ends.
        8 lost: Lost,
        /// Kills the program after so many milliseconds.
        9 timeout_ms: Option<u64>,
        /// The most memory that the program and its children may have, in bytes.
        10 memory_max: Option<u64>,
        /// The most processes and threads that they may be.
        11 pids_max: Option<u64>,
        /// The most processor time that they may have, in thousandths of one processor.
        12 cpu_max_permille: Option<u32>,
    }

    /// Goes on with a kept program.
    pub StartAttach {
        /// The program's number, as `Started` told it.
        1 exec: u64,
        /// From which byte of its output on. What is older than its ring is told as a gap.
        2 stdout_from: u64,
        /// The same for its errors.
        3 stderr_from: u64,
    }

    /// Gives the program's terminal another size.
    pub Resize {
        /// The new size.
        1 size: TerminalSize,
    }

    /// Sends a signal to the program and its process group; number 9 also to all that it has started.
    pub Signal {
        /// The number of the signal, as on x86-64 and arm64.
        1 number: u32,
    }

    /// Lets the program go on without this session, and ends it.
    pub Detach {}

    /// No more input: the program reads the end of it, once it has read all before.
    pub StdinEnd {}

    /// Reads a file or a tree.
    pub StartRead {
        /// Its absolute path; links on the way are followed within the guest's root.
        1 path: Vec<u8>,
        /// As a tar stream, whatever it is, with its own name as the first entry's; else it is the bytes of a file.
        2 tree: bool,
    }

    /// Writes a file or a tree.
    pub StartWrite {
        /// The file's absolute path; of a tree, the directory that it is unpacked in.
        1 path: Vec<u8>,
        /// Whether a tar stream comes, instead of the bytes of one file.
        2 tree: bool,
        /// The file's mode; 0644 for a new file by default, and what it has for one that exists.
        3 mode: Option<u32>,
        /// The file's owner.
        4 uid: Option<u32>,
        /// The file's group.
        5 gid: Option<u32>,
        /// Writes beside the file and puts it in its place when it is whole; else into the file that exists.
        6 atomic: bool,
        /// Makes the directories that are missing, of root with mode 0755.
        7 parents: bool,
    }

    /// The end of what is sent.
    pub DataEnd {
        /// How many bytes there were.
        1 bytes: u64,
    }

    /// Connects to something in the guest.
    pub StartForward {
        /// What to connect to.
        1 target: Target,
    }

    /// Is it there?
    pub Ping {
        /// Comes back in the answer.
        1 nonce: u64,
    }

    /// What is the guest?
    pub Facts {}

    /// Ends the guest.
    pub Shutdown {
        /// How long its programs have after a signal to end, in milliseconds. All of it is over soon after.
        1 grace_ms: u64,
        /// The signal, 15 by default.
        2 signal: Option<u32>,
    }

    /// Stops the workload, writes all to the drives and closes the other sessions, so that a snapshot can be made.
    pub Quiesce {}

    /// Lets the workload go on, without a snapshot having been loaded.
    pub Thaw {}

    /// Makes a guest another one, after a snapshot was loaded: the workload goes on when all of it is done, and stays
    /// frozen when any of it fails.
    pub Renew {
        /// The number of this life of the guest, told by `Facts` and in `/run/smartvm/generation`.
        1 vm_generation: u64,
        /// At least 64 random bytes for the kernel's generator.
        2 entropy: Hidden,
        /// The time, in nanoseconds since 1970.
        3 clock_ns: u64,
        /// The guest's name.
        4 hostname: Option<Vec<u8>>,
        /// What `/etc/machine-id` says.
        5 machine_id: Option<[u8; 16]>,
        /// Network devices that get other addresses.
        6 devices: Vec<Device>,
        /// Whom to ask for names.
        7 resolvers: Vec<IpAddr>,
    }

    /// Addresses of a network device: those that it has go, with its routes.
    pub Device {
        /// Its name in the guest.
        1 name: Vec<u8>,
        /// Its hardware address.
        2 mac: Option<[u8; 6]>,
        /// Its addresses.
        3 addresses: Vec<Prefix>,
        /// Where all that is not near goes, at most one of each version.
        4 gateways: Vec<IpAddr>,
    }

    pub(crate) TargetFields {
        /// Of TCP.
        1 address: Option<IpAddr>,
        /// Of TCP.
        2 port: Option<u16>,
        /// Of a Unix socket.
        3 path: Option<Vec<u8>>,
    }

}

/// What a stream is forwarded to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A TCP port, seen from within the guest.
    Tcp {
        /// The address.
        address: IpAddr,
        /// The port.
        port: u16,
    },
    /// A Unix socket of the guest.
    Unix {
        /// Its absolute path.
        path: Vec<u8>,
    },
}

impl Value for Target {
    fn put(&self, out: &mut Vec<u8>) {
        let fields = match self {
            Self::Tcp { address, port } => {
                TargetFields { address: Some(*address), port: Some(*port), path: None }
            }
            Self::Unix { path } => {
                TargetFields { address: None, port: None, path: Some(path.clone()) }
            }
        };
        fields.put(out);
    }

    fn get(bytes: &[u8]) -> Result<Self, FieldFault> {
        let TargetFields { address, port, path } = TargetFields::get(bytes)?;
        match (address, port, path) {
            (Some(address), Some(port), None) => Ok(Self::Tcp { address, port }),
            (None, None, Some(path)) => Ok(Self::Unix { path }),
            _ => Err(FieldFault::Value),
        }
    }
}
