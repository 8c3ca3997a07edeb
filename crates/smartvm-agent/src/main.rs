//! The first process of a guest whose kernel was imported with its modules.
//!
//! It is `/init` of the initramfs that `smartvm kernel import` makes. It loads the modules listed in
//! `/etc/modules`, waits for the root device, mounts it (a squashfs under a writable overlay in
//! memory), gives network devices the addresses that `ip=` says, and becomes the init of that root. What goes wrong is one line on the console, and
//! a restart, which ends Firecracker when the kernel was started with `reboot=k`.
//!
//! It is linked statically: there are no libraries where it runs.

mod address;
mod cmdline;
mod devices;
mod failure;
mod handover;
mod initramfs;
mod modules;
mod network;
mod overlay;
mod root;

use std::convert::Infallible;
use std::process::ExitCode;

use cmdline::CommandLine;
use failure::Failure;

fn main() -> ExitCode {
    if rustix::process::getpid() != rustix::process::Pid::INIT {
        failure::report("cannot run here: it is the init of a guest and must be process 1");
        return ExitCode::from(2);
    }
    let Err(failure) = boot();
    failure::report(&failure.to_string());
    failure::restart()
}

/// From the kernel's hands into those of the root file system's init.
fn boot() -> Result<Infallible, Failure> {
    root::mount_kernel_file_systems()?;
    let command_line = CommandLine::read()?;
    let failed = modules::load_all()?;
    let device = command_line.root_device()?;
    devices::wait_for(device).map_err(|failure| failure.because_of(&failed))?;
    root::mount_root(&command_line, device).map_err(|failure| failure.because_of(&failed))?;
    network::configure(&command_line.addresses);
    handover::enter_root()?;
    network::name_resolvers(&command_line.addresses);
    handover::run_init(&command_line)
}
