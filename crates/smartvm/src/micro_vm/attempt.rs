//! What a start has made so far.

use std::io;

use smartvm_firecracker::{ConsoleRecording, FirecrackerProcess};
use tokio::task::JoinHandle;

use super::stop::KILL_NOW;
use crate::home::VmDir;
use crate::smart_vm_error::SmartVmError;

/// The resources of a start that has not succeeded yet, in the order in which they are made.
///
/// It lives outside the start's future, so that whatever ends the future (an error, a kill) can
/// undo what was made.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    pub(super) dir: Option<VmDir>,
    pub(super) staging: Option<JoinHandle<Result<(), SmartVmError>>>,
    pub(super) process: Option<FirecrackerProcess>,
    /// It ends with the process' output.
    pub(super) recording: Option<ConsoleRecording>,
}

impl Attempt {
    /// Removes everything, in reverse order. What cannot be removed is reported, and the next sweep
    /// removes it.
    pub(super) async fn undo(self) -> io::Result<()> {
        if let Some(process) = self.process {
            process.terminate(KILL_NOW).await;
        }
        if let Some(staging) = self.staging {
            // A copy cannot be interrupted; it must be over before its directory goes.
            let _ = staging.await;
        }
        match self.dir {
            Some(dir) => dir.remove(),
            None => Ok(()),
        }
    }
}
