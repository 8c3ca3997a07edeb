//! A VM whose job is one program: its streams are ours, its exit code is ours, and the VM ends with it.

use std::ffi::OsString;
use std::time::Duration;

use smartvm::{ConnectGuestError, MicroVm, VmConfig, VsockConfig};

use crate::exit_code::Exit;
use crate::failure::Failure;
use crate::guest_program::{GuestSignals, ProgramArgs, StreamArgs, attend};
use crate::printer::Printer;

/// How long a guest may take to boot. It ends sooner when the VM does.
const BOOTS: Duration = Duration::from_secs(300);

/// How long a guest that writes to its images may take to bring all to them and end.
const ENDS: Duration = Duration::from_secs(10);

/// How much of the console is shown of a boot that failed.
const TAIL: usize = 4 << 10;

/// What has the agent stay the first process, on the kernel's command line.
const STAYS: &str = "smartvm.role=init";

/// The guest's address, when no vsock was asked for: the first that there is.
const CID: u32 = 3;

/// The program, and how it runs.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(super) argv: Vec<OsString>,
    pub(super) program: ProgramArgs,
    pub(super) streams: StreamArgs,
}

impl Job {
    /// What the VM needs for it.
    pub(super) fn prepare(config: &mut VmConfig) {
        config.vsock.get_or_insert(VsockConfig { guest_cid: CID, uds_path: None });
        let boot_args = config.boot_source.boot_args.get_or_insert_default();
        // What follows `--` is for an init of the root's own, which is not run.
        let (kernel, rest) = boot_args.split_once(" -- ").unwrap_or((boot_args, ""));
        *boot_args = match rest {
            "" => format!("{kernel} {STAYS}"),
            rest => format!("{kernel} {STAYS} -- {rest}"),
        };
    }

    /// Runs it in a VM that was started, and ends the VM.
    pub(super) async fn attend(&self, vm: &MicroVm, printer: Printer) -> Result<Exit, Failure> {
        let done = self.carry_out(vm, printer).await;
        end(vm, done.is_ok()).await;
        done.map_err(Failure::of_program)
    }

    async fn carry_out(&self, vm: &MicroVm, printer: Printer) -> Result<Exit, Failure> {
        let mut signals = GuestSignals::catch().map_err(|error| {
            Failure::new("NO_SIGNALS", "failed to catch signals").caused_by(&error)
        })?;
        let guest = vm.guest();
        let command = self.program.describe(&guest, &self.argv, self.streams)?;
        loop {
            tokio::select! {
                biased;
                signal = signals.next() => {
                    if let Some(exit) = signal.ends_a_boot() {
                        return Ok(exit);
                    }
                }
                ready = vm.wait_for_agent(BOOTS) => {
                    ready.map_err(|error| not_booted(vm, &error))?;
                    break;
                }
            }
        }
        attend(command, self.streams, &mut signals, printer).await
    }
}

fn not_booted(vm: &MicroVm, error: &ConnectGuestError) -> Failure {
    let console = vm.console().map(|console| console.tail(TAIL)).unwrap_or_default();
    Failure::of(error, error.code(), error.hint())
        .with_last_output(&String::from_utf8_lossy(&console))
}

/// Ends the VM: at once when all that it wrote goes with it, else when it is on its drives.
async fn end(vm: &MicroVm, is_done: bool) {
    let stays = |drive: &smartvm::DriveConfig| {
        drive.is_read_only != Some(true) && drive.ephemeral == Some(false)
    };
    if is_done && vm.spec().config().drives.iter().any(stays) {
        let ending = async {
            if let Err(error) = vm.guest().shut_down(ENDS / 2, None).await {
                tracing::warn!(vm = %vm.id(), %error, "the guest does not shut down by itself");
            }
            vm.wait().await
        };
        let _ = tokio::time::timeout(ENDS, ending).await;
    }
    // What has ended is ended by this too.
    let _ = vm.kill().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_told_and_what_is_the_inits_stays_behind() {
        let told = |boot_args: &str| {
            let mut config = VmConfig::default();
            config.boot_source.boot_args = Some(boot_args.to_owned());
            Job::prepare(&mut config);
            assert_eq!(config.vsock.unwrap().guest_cid, CID);
            config.boot_source.boot_args.unwrap()
        };
        assert_eq!(told("quiet"), format!("quiet {STAYS}"));
        assert_eq!(told("quiet -- single"), format!("quiet {STAYS} -- single"));
    }
}
