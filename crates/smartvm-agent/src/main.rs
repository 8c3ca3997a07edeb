//! The first process of a guest whose kernel was imported with its modules.
//!
//! It is `/init` of the initramfs that `smartvm kernel import` makes. It loads the modules listed in
//! `/etc/modules`, waits for the root device, mounts it (a squashfs under a writable overlay in
//! memory), gives network devices the addresses that `ip=` says, and becomes the init of that root, beside which a process of it stays
//! and serves the host; with `smartvm.role=init` it serves as process 1, with `smartvm.role=none` not at all. What goes wrong is one line
//! on the console, and a restart, which ends Firecracker when the kernel was started with `reboot=k`.
//!
//! As a service of an image that brings it, it is `smartvm-agent serve`.
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
mod serve;

use std::process::ExitCode;

use cmdline::{BootRole, CommandLine};
use failure::Failure;
use smartvm_protocol::shared::Role;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (command, more) = (arguments.next(), arguments.next());
    let is_first = rustix::process::getpid().is_init();
    let outcome = match (command.as_deref(), more) {
        (Some("serve"), None) if is_first => serve::run(Role::Init),
        (Some("serve"), None) => serve::run(Role::Service),
        (Some(handover::BESIDE), None) if !is_first => serve::run(Role::Beside),
        _ if is_first => boot(),
        _ => {
            failure::report(
                "cannot run here: as the init of a guest it must be process 1; a guest's service is `serve`",
            );
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure::report(&failure.to_string());
            if is_first { failure::restart() } else { ExitCode::FAILURE }
        }
    }
}

/// From the kernel's hands into those of the root file system's init, or into ours.
fn boot() -> Result<(), Failure> {
    root::mount_kernel_file_systems()?;
    let command_line = CommandLine::read()?;
    let failed = modules::load_all()?;
    let device = command_line.root_device()?;
    devices::wait_for(device).map_err(|failure| failure.because_of(&failed))?;
    root::mount_root(&command_line, device).map_err(|failure| failure.because_of(&failed))?;
    network::configure(&command_line.addresses);
    handover::enter_root()?;
    network::name_resolvers(&command_line.addresses);
    match command_line.role {
        BootRole::Init => {
            root::mount_for_programs();
            network::bring_up_loopback();
            serve::run(Role::Init)
        }
        BootRole::Beside => {
            handover::leave_agent();
            handover::run_init(&command_line).map(|never| match never {})
        }
        BootRole::None => handover::run_init(&command_line).map(|never| match never {}),
    }
}
