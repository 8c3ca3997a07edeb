//! The emulated host's command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use super::LabSize;
use crate::fixtures::kernel::KernelFixture;
use crate::fixtures::{busybox, kernel, qemu, virtme};
use crate::run::Run;
use crate::{apt, environment, say, workspace};

/// The file of a run with what the lab's kernel said.
pub(super) const CONSOLE: &str = "console.log";

/// Programs that every ordinary machine has, and a minimal one has not.
const NEEDED: [(&str, &str, &str); 3] = [
    ("modprobe", "kmod", "the lab loads KVM's modules"),
    ("udevadm", "udev", "the ports through which the lab's output comes get their names from it"),
    ("file", "file", "virtme-ng tells a kernel's version with it"),
];

/// What is needed to start the emulated host.
#[derive(Debug)]
pub(super) struct Machine {
    vng: PathBuf,
    kernel: KernelFixture,
    busybox: PathBuf,
    size: LabSize,
}

impl Machine {
    /// Installs and fetches what is missing.
    pub(super) fn prepare(size: &LabSize) -> anyhow::Result<Self> {
        if std::env::consts::ARCH != "x86_64" {
            bail!("the lab emulates a processor with virtualization on x86_64 only");
        }
        qemu::ensure()?;
        for (program, package, why) in NEEDED {
            apt::ensure_program(program, package, why)?;
        }
        Ok(Self {
            vng: virtme::ensure()?,
            kernel: kernel::ensure()?,
            busybox: busybox::ensure()?,
            size: size.clone(),
        })
    }

    /// Starts the host: with the run's request, or with a shell on this terminal.
    pub(super) fn command(&self, run_dir: &Path, with_request: bool) -> anyhow::Result<Command> {
        let mut argv: Vec<OsString> = contained();
        argv.push(self.vng.clone().into());
        argv.push("--run".into());
        argv.push(self.kernel.image.clone().into());
        argv.push("--memory".into());
        argv.push(self.size.memory.clone().into());
        argv.push("--cpus".into());
        argv.push(self.size.cpus.to_string().into());
        // Firecracker needs a KVM that runs guests at speed; if this machine's did, there would be
        // no need for a lab. Without KVM, QEMU emulates an AMD processor's virtualization whole.
        argv.push("--disable-kvm".into());
        argv.push("--disable-microvm".into());
        argv.push("--force-9p".into());
        argv.push("--busybox".into());
        argv.push(self.busybox.clone().into());
        argv.push(joined("--rwdir=", &workspace::lab_dir()));
        // A second serial port takes what the kernel says, since the first one's output is lost. At
        // boot that is only a panic: each character costs time.
        // All emulated processors read one time stamp counter, which the kernel does not believe by
        // itself; KVM, in distrust of it, would correct guests' clocks all the time.
        argv.push("--append".into());
        argv.push("earlycon=uart8250,io,0x2f8 keep_bootcon tsc=reliable".into());
        let console = run_dir.join(CONSOLE);
        argv.push(
            format!(
                "--qemu-opts=-cpu max -accel tcg,thread=multi -serial file:{}",
                path(&console)?
            )
            .into(),
        );
        if with_request {
            let xtask = std::env::current_exe().context("find the running xtask")?;
            argv.push("--exec".into());
            argv.push(format!("'{}' lab-inside '{}'", path(&xtask)?, path(run_dir)?).into());
        }
        let (program, args) = argv.split_first().expect("there is at least vng");
        // `vng` starts `virtme-run`, which is beside it. Its temporary files are ours to remove if it
        // gets no chance to.
        let beside = self.vng.parent().context("find the directory of vng")?;
        let path = environment::variable("PATH").unwrap_or_default();
        let dirs = std::iter::once(beside.to_owned()).chain(std::env::split_paths(&path));
        let path = std::env::join_paths(dirs).context("put vng on PATH")?;
        let run = Run::new(program).args(args).env("PATH", path);
        Ok(run.env("TMPDIR", run_dir.join("tmp")).into_command())
    }
}

/// A prefix for a command that makes all its processes die with us, however we die: a process
/// namespace whose first process dies with its parent.
fn contained() -> Vec<OsString> {
    let prefix = ["setpriv", "--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child"];
    if Run::new(prefix[0]).args(&prefix[1..]).arg("true").succeeds() {
        prefix.map(OsString::from).to_vec()
    } else {
        say::step("may not make a process namespace: if xtask is killed, QEMU may stay");
        Vec::new()
    }
}

/// A path that survives the quoting of `vng`, of a shell and of QEMU's options.
fn path(path: &Path) -> anyhow::Result<&str> {
    let text = path.to_str().filter(|text| !text.contains(['\'', '"', ',', ' ', '\\', '$']));
    text.with_context(|| format!("the lab cannot use the path {}", path.display()))
}

fn joined(prefix: &str, path: &Path) -> OsString {
    let mut text = OsString::from(prefix);
    text.push(path);
    text
}
