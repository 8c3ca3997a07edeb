//! Ending a VM, gently first.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use smartvm_firecracker::api::VmRunState;
use smartvm_firecracker::{ApiClient, FirecrackerProcess, StopStep, TERM_THEN_KILL};

use super::guest_end::EndWatch;
use super::report::StopReport;
use crate::lifecycle::VmState;

/// SIGKILL, and a second for the kernel to carry it out.
pub(super) const KILL_NOW: &[StopStep] =
    &[StopStep { signal: Signal::KILL, patience: Duration::from_secs(1) }];

/// How long Firecracker may take for a single API call of a stop, before the next step is tried.
const CALL_PATIENCE: Duration = Duration::from_secs(1);

/// Ctrl-Alt-Del and `patience` for the guest, then SIGTERM, then SIGKILL. A guest that powers off upon it is not
/// waited for any longer.
///
/// Dropping the future between two steps leaves the process as it then is.
pub(super) async fn stop(
    process: &FirecrackerProcess,
    client: &ApiClient,
    end_watch: &mut EndWatch,
    state: VmState,
    patience: Duration,
) -> StopReport {
    let begun = Instant::now();
    let report = |ended_by, exit| StopReport { ended_by, exit, took: begun.elapsed() };

    if patience > Duration::ZERO && ask_guest(client, state).await {
        tokio::select! {
            biased;
            exit = process.exited() => return report("ctrl-alt-del", Some(exit)),
            () = end_watch.powered_off() => {
                let termination = process.terminate(&TERM_THEN_KILL).await;
                return report("ctrl-alt-del", termination.exit);
            }
            () = tokio::time::sleep(patience) => {
                tracing::debug!(?patience, "the guest did not shut down on Ctrl-Alt-Del");
            }
        }
    }
    let termination = process.terminate(&TERM_THEN_KILL).await;
    let ended_by = match termination.ended_by {
        Some(Signal::TERM) => "SIGTERM",
        Some(_) => "SIGKILL",
        None => "nothing",
    };
    report(ended_by, termination.exit)
}

/// Sends Ctrl-Alt-Del, which only a guest that runs can act on. Returns whether it was sent.
async fn ask_guest(client: &ApiClient, state: VmState) -> bool {
    if !cfg!(target_arch = "x86_64") {
        // Firecracker has no keyboard to press it on elsewhere.
        return false;
    }
    let asked = tokio::time::timeout(CALL_PATIENCE, async {
        if state == VmState::Paused {
            client.set_vm_state(VmRunState::Resumed).await?;
        }
        client.send_ctrl_alt_del().await
    });
    match asked.await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::debug!(%error, "Ctrl-Alt-Del was not sent");
            false
        }
        Err(_) => false,
    }
}
