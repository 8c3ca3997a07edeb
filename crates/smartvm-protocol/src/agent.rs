//! What the agent says.

use crate::field::{FieldFault, Value};
use crate::generation::Features;
use crate::message::messages;
use crate::shared::{Role, Stream};

messages! {
    /// The answer to `Hello`.
    pub Welcome {
        /// The generation that both go on with.
        1 generation: u16,
        /// What the agent can do.
        2 features: Features,
        /// How many sessions may be open at once.
        3 sessions_max: u32,
        /// The number of this life of the guest, see `Renew`; 0 before the first.
        4 vm_generation: u64,
    }

    /// The program runs.
    pub Started {
        /// Its number for `Attach`, never given twice.
        1 exec: u64,
        /// Its process in the guest.
        2 pid: u32,
    }

    /// So many more bytes of input may be sent.
    pub StdinCredit {
        /// How many.
        1 bytes: u32,
    }

    /// What an attached session missed, as its ring had no room for it.
    pub Gap {
        /// Of which output.
        1 stream: Stream,
        /// How many bytes.
        2 bytes: u64,
    }

    /// The program's end, after all of its output.
    pub Exit {
        /// How it ended.
        1 ended: Ended,
        /// Whether the agent killed it, as the time of `timeout_ms` was over.
        2 timed_out: bool,
        /// How many of its processes the kernel killed as memory ran out.
        3 oom_kills: u64,
        /// Whether something that it left behind still held its output when the agent stopped reading it.
        4 truncated: bool,
        /// Processor time of the program itself, in microseconds.
        5 user_us: u64,
        /// The same within the kernel.
        6 system_us: u64,
        /// The most memory that it had at once, in bytes.
        7 peak_rss: u64,
    }

    pub(crate) EndedFields {
        /// What it returned.
        1 code: Option<u32>,
        /// What killed it.
        2 signal: Option<u32>,
        /// Whether its memory was written down.
        3 core: Option<bool>,
    }

    /// The file is open, and its bytes follow.
    pub ReadStarted {
        /// Its length as far as it is known, in bytes.
        1 size: Option<u64>,
        /// Its type and permissions, as `stat` gives them.
        2 mode: u32,
        /// Its owner.
        3 uid: u32,
        /// Its group.
        4 gid: u32,
        /// When it was changed, in seconds since 1970.
        5 mtime: i64,
    }

    /// The place is open for what is to be written.
    pub WriteStarted {}

    /// All is written.
    pub Written {
        /// How many bytes of `Data` there were.
        1 bytes: u64,
    }

    /// The end of what is sent.
    pub DataEnd {
        /// How many bytes there were.
        1 bytes: u64,
    }

    /// It is connected; what follows are the bytes of it, without frames.
    pub ForwardStarted {}

    /// It is here.
    pub Pong {
        /// What the question had.
        1 nonce: u64,
    }

    /// What the guest is. All of it is the guest's word.
    pub FactsAre {
        /// The agent's version.
        1 agent: Vec<u8>,
        /// The kernel's release.
        2 kernel: Vec<u8>,
        /// The guest's name.
        3 hostname: Vec<u8>,
        /// How the agent lives there.
        4 role: Role,
        /// How long the kernel has run, in milliseconds.
        5 uptime_ms: u64,
        /// The number of this life of the guest, see `Renew`; 0 before the first.
        6 vm_generation: u64,
        /// How many programs of sessions run.
        7 execs: u32,
        /// Whether the workload stands still, for a snapshot or until `Renew` has succeeded.
        8 frozen: bool,
    }

    /// The guest will be gone within the time that was given; the connection ends with it.
    pub ShuttingDown {}

    /// The workload stands still and all is written.
    pub Quiesced {}

    /// The workload goes on.
    pub Thawed {}

    /// The guest is another one, and its workload goes on.
    pub Renewed {
        /// The number of this life of the guest.
        1 vm_generation: u64,
        /// How long that took, in microseconds.
        2 took_us: u64,
    }
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It returned.
    Code(u8),
    /// It was killed.
    Signal {
        /// By which signal.
        number: u8,
        /// Whether its memory was written down.
        core: bool,
    },
}

impl Ended {
    /// What a shell would say: the code, or 128 and the signal's number.
    pub fn shell_code(self) -> u8 {
        match self {
            Self::Code(code) => code,
            Self::Signal { number, .. } => number.saturating_add(128),
        }
    }
}

impl Value for Ended {
    fn put(&self, out: &mut Vec<u8>) {
        let fields = match *self {
            Self::Code(code) => EndedFields { code: Some(code.into()), signal: None, core: None },
            Self::Signal { number, core } => {
                EndedFields { code: None, signal: Some(number.into()), core: Some(core) }
            }
        };
        fields.put(out);
    }

    fn get(bytes: &[u8]) -> Result<Self, FieldFault> {
        let EndedFields { code, signal, core } = EndedFields::get(bytes)?;
        let byte = |number| u8::try_from(number).map_err(|_| FieldFault::Value);
        match (code, signal, core) {
            (Some(code), None, None) => Ok(Self::Code(byte(code)?)),
            (None, Some(number @ 1..=127), core) => {
                Ok(Self::Signal { number: byte(number)?, core: core.unwrap_or(false) })
            }
            _ => Err(FieldFault::Value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_code_or_a_signal_and_never_both() {
        let read = |code, signal, core| {
            let mut bytes = Vec::new();
            EndedFields { code, signal, core }.put(&mut bytes);
            Ended::get(&bytes)
        };
        assert_eq!(read(Some(3), None, None), Ok(Ended::Code(3)));
        let killed = Ended::Signal { number: 9, core: false };
        assert_eq!(read(None, Some(9), None), Ok(killed));
        assert_eq!(killed.shell_code(), 137);
        for (code, signal) in [(None, None), (Some(1), Some(1)), (Some(256), None), (None, Some(0))]
        {
            assert_eq!(read(code, signal, None), Err(FieldFault::Value));
        }
    }
}
