//! The flags of `smartvm run`.

use std::ffi::OsString;
use std::path::PathBuf;

use super::devices::DeviceArgs;
use super::drive::DriveArg;
use super::jail::JailArgs;
use super::job::Job;
use super::memory::MemoryMib;
use crate::exit_code::Exit;
use crate::failure::Failure;
use crate::guest_program::{ProgramArgs, StreamArgs};
use crate::image::{ImageName, ImageSourceArgs};

const AFTER_HELP: &str = "\
Console:
  On a terminal the keyboard is the guest's, Ctrl-C too: it interrupts programs in the guest,
  not smartvm. Ctrl-] takes the next key for smartvm:
    Ctrl-] p       pause, or resume
    Ctrl-] q       stop the guest gently: Ctrl-Alt-Del, and 10 seconds to shut down
    Ctrl-] k       end the guest at once
    Ctrl-] ?       list the keys
    Ctrl-] Ctrl-]  send one Ctrl-] to the guest
  When standard input or output is not a terminal, input goes to the guest as it comes and its
  end means nothing. With --no-stdin, or then, Ctrl-C stops the guest gently and a second one
  ends it at once. SIGINT, SIGTERM and SIGHUP do the same from anywhere.
  With --json, only errors appear on stderr; --report has the rest.

Program:
  With a program behind `--`, smartvm-agent stays the guest's first process and runs it: its output and errors
  come apart on standard output and error, its exit code is that of this command (125 when smartvm failed, 126 and
  127 as of a shell), and the VM ends with it. The console is shown only of a boot that fails.

Drives:
  --drive PATH[:ro|:rw][,id=NAME], read from its end. A writable drive is a private copy that
  goes with the VM, so that the image stays as it is; --persistent writes to the image itself.

Jail:
  Run by root, Firecracker becomes a user of its own, in a directory of its own, in a PID namespace
  of its own. --no-jail turns that off.

Devices:
  --network eth0 gives the VM a TAP and an address of the network svbr0 for as long as it lives. It
  reaches what lies beyond the host, by IPv4, and nothing else: not the host, not other VMs, not a
  cloud's metadata; --open opens those. The guest learns its address and resolvers from `ip=` on its
  kernel's command line; an imported kernel's init does as it says. --network eth0=tap0 takes a TAP of
  yours, as it is: made with `ip tuntap add tap0 mode tap`. Rate limits, a metadata service of another
  address, memory hotplug, CPU templates and the rest are sections of --config: networkInterfaces,
  vsock, balloon, mmds, entropy, serial, pmem, memoryHotplug, cpuConfig, logger, metrics.

Examples:
  smartvm run --rootfs debian.ext4
  smartvm run --image latest --memory 512M
  smartvm run --kernel 6.1.0-56-amd64 --rootfs root.squashfs --rootfs-read-only --memory 512M
  smartvm run --kernel ./vmlinux --drive data.img:ro,id=data --boot-args 'console=ttyS0 panic=1'
  smartvm run --rootfs debian.ext4 --network eth0 --publish 8080:80 --firewall egress.json
  smartvm run --rootfs debian.ext4 --network eth0=tap0 --metadata web-1.json --entropy
  smartvm run --rootfs debian.ext4 --vsock 3:/run/web-1.sock --balloon 64
  smartvm run --rootfs debian.ext4 -- cat /etc/os-release
  smartvm run --rootfs debian.ext4 -it -e CI=1 -w /src -- make test
  smartvm run --config vm.json --vcpus 2 --report run.json";

/// Boot a guest with its console on this terminal, until it ends
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{AFTER_HELP}\n\n{}", Exit::table()))]
pub(crate) struct RunArgs {
    /// The kernel: a path to a vmlinux, or a name from `smartvm kernel list` [default: the
    /// newest imported kernel]
    ///
    /// An imported kernel brings its initramfs. A value with a slash is always a path.
    #[arg(long, value_name = "PATH|NAME")]
    pub(super) kernel: Option<PathBuf>,
    /// A base image with kernel, root drive and command line: `latest`, `lts`, a manifest's URL or
    /// path, or the id of one in the cache
    ///
    /// It is fetched unless it is in the cache; see `smartvm image pull`.
    #[arg(
        long,
        value_name = "IMAGE",
        conflicts_with_all = ["kernel", "initrd", "rootfs", "rootfs_read_only", "persistent"]
    )]
    pub(super) image: Option<ImageName>,
    /// Refuse a base image unless it is signed by the other half of this public Ed25519 key (`openssl
    /// pkey -pubout`)
    #[arg(long, value_name = "KEY", env = "SMARTVM_VERIFY_KEY", hide_env_values = true)]
    pub(super) verify: Option<PathBuf>,
    #[command(flatten)]
    pub(super) image_source: ImageSourceArgs,
    /// The initial RAM disk
    #[arg(long, value_name = "PATH")]
    pub(super) initrd: Option<PathBuf>,
    /// The root drive's image or block device
    #[arg(long, value_name = "PATH")]
    pub(super) rootfs: Option<PathBuf>,
    /// Give the root drive to the guest read-only
    #[arg(long)]
    pub(super) rootfs_read_only: bool,
    /// One more drive, see below; may be repeated
    #[arg(long = "drive", value_name = "PATH[:ro][,id=NAME]")]
    pub(super) drives: Vec<DriveArg>,
    /// How many processors the guest sees [default: 1]
    #[arg(long, value_name = "N")]
    pub(super) vcpus: Option<u32>,
    /// The guest's memory in MiB, or as 512M or 2G [default: 128]
    #[arg(long, value_name = "MIB")]
    pub(super) memory: Option<MemoryMib>,
    /// The kernel's command line [default: console=ttyS0 reboot=k panic=1 pci=off]
    #[arg(long, value_name = "STRING", allow_hyphen_values = true)]
    pub(super) boot_args: Option<String>,
    #[command(flatten)]
    pub(super) devices: DeviceArgs,
    /// A VM configuration in JSON; flags override it
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The VM's id [default: a random one]
    #[arg(long, value_name = "ID")]
    pub(super) id: Option<String>,
    /// Copy writable drives, whatever the configuration says
    #[arg(long, conflicts_with = "persistent")]
    pub(super) ephemeral: bool,
    /// Let the guest write to the images themselves
    #[arg(long)]
    pub(super) persistent: bool,
    /// Write a report of the run as JSON
    #[arg(long, value_name = "FILE")]
    pub(super) report: Option<PathBuf>,
    /// Copy the guest's console to a file too, which is rotated at 8 MiB
    #[arg(long, value_name = "FILE")]
    pub(super) console_log: Option<PathBuf>,
    /// Copy Firecracker's log to a file, which is rotated at 8 MiB
    #[arg(long, value_name = "FILE")]
    pub(super) log: Option<PathBuf>,
    /// Copy Firecracker's metrics to a file, one JSON object a line, which is rotated at 8 MiB
    #[arg(long, value_name = "FILE")]
    pub(super) metrics: Option<PathBuf>,
    /// Give the guest no input, and leave the terminal's mode as it is
    #[arg(long)]
    pub(super) no_stdin: bool,
    #[command(flatten)]
    pub(super) jail: JailArgs,
    #[command(flatten)]
    program: ProgramArgs,
    #[command(flatten)]
    streams: StreamArgs,
    /// A program to run in the guest instead of the root's own init, and its arguments
    #[arg(last = true, value_name = "CMD")]
    argv: Vec<OsString>,
}

impl RunArgs {
    /// The program that was asked for, if one was.
    pub(super) fn job(&self) -> Result<Option<Job>, Failure> {
        if !self.argv.is_empty() {
            let (argv, program) = (self.argv.clone(), self.program.clone());
            return Ok(Some(Job { argv, program, streams: self.streams }));
        }
        if self.program == ProgramArgs::default() && self.streams == StreamArgs::default() {
            return Ok(None);
        }
        let message = "-e, --env-file, -w, -u, -i and -t are for a program, and there is none";
        Err(Failure::new("USAGE", message)
            .with_hint("give one behind `--`, such as `-- make test`"))
    }
}
