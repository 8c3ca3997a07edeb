//! From the initramfs into the root: switching to it, and becoming its init.

use std::convert::Infallible;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, mount_move, unmount};

use crate::cmdline::CommandLine;
use crate::failure::{self, Failure};
use crate::initramfs;
use crate::root::NEW_ROOT;
use crate::serve;

/// Where the kernel looks for an init, in its order.
const INITS: [&str; 4] = ["/sbin/init", "/etc/init", "/bin/init", "/bin/sh"];

/// The argument by which the agent knows that it lives beside the root's init.
pub(crate) const BESIDE: &str = "beside";

/// The name of the process that stays. A `@` at its beginning keeps systemd from ending it with everything else before the
/// machine goes down, as it is for storage daemons of an initramfs.
const STAYING: &str = "@smartvm-agent";

/// Makes the mounted root `/` and gives the initramfs' memory back.
pub(crate) fn enter_root() -> Result<(), Failure> {
    for mounted in ["/dev", "/proc", "/sys", "/run"] {
        move_into_root(mounted)?;
    }
    let initramfs =
        rustix::fs::open("/", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(cannot_switch)?;
    rustix::process::chdir(NEW_ROOT).map_err(cannot_switch)?;
    // The first root cannot be unmounted or pivoted away from: it is covered instead.
    mount_move(".", "/").map_err(cannot_switch)?;
    rustix::process::chroot(".").map_err(cannot_switch)?;
    rustix::process::chdir("/").map_err(cannot_switch)?;
    if let Err(error) = initramfs::empty(&initramfs) {
        failure::report(&format!("cannot free the memory of the initramfs: {error}"));
    }
    Ok(())
}

/// Starts a process that serves the host beside the root's init, where there is a way to the host. It is this very program,
/// which lives on in memory after the initramfs is gone; a root without `/proc` cannot have it.
pub(crate) fn leave_agent() {
    if !serve::has_host() {
        return;
    }
    let started =
        Command::new("/proc/self/exe").arg0(STAYING).arg(BESIDE).stdin(Stdio::null()).spawn();
    if let Err(error) = started {
        failure::report(&format!("cannot serve the host: {error}"));
    }
}

/// Becomes the root's init.
pub(crate) fn run_init(command_line: &CommandLine) -> Result<Infallible, Failure> {
    let execute = |program: &str| Command::new(program).args(&command_line.init_arguments).exec();
    if let Some(init) = &command_line.init {
        return Err(Failure::new(format!("run init={init}"), execute(init)));
    }
    for init in INITS {
        let error = execute(init);
        if error.kind() != std::io::ErrorKind::NotFound {
            failure::report(&format!("cannot run {init}: {error}"));
        }
    }
    let reason = format!("the root has none of {}; name it by init=", INITS.join(", "));
    Err(Failure::new("run the root's init", reason))
}

/// Takes a mount along. A read-only root without a place for it goes without.
fn move_into_root(mounted: &str) -> Result<(), Failure> {
    let target = format!("{NEW_ROOT}{mounted}");
    match rustix::fs::mkdir(target.as_str(), Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => mount_move(mounted, target.as_str())
            .map_err(|error| Failure::new(format!("move {mounted} into the root"), error)),
        Err(error) => {
            failure::report(&format!("the root goes without {mounted}: {error}"));
            unmount(mounted, UnmountFlags::DETACH)
                .map_err(|error| Failure::new(format!("unmount {mounted}"), error))
        }
    }
}

fn cannot_switch(error: Errno) -> Failure {
    Failure::new("switch to the root", error)
}
