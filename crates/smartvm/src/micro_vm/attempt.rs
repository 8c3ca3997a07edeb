//! What a start has made so far.

use std::io;

use smartvm_dir::GiveUp;
use smartvm_firecracker::{ConsoleRecording, FirecrackerProcess, PipeCopy};
use tokio::task::JoinHandle;

use super::stop::KILL_NOW;
use crate::disk::DiskUse;
use crate::home::{ClaimError, VmDir};
use crate::image_use::ImagesInUse;
use crate::jail::MakeJailError;
use crate::network::Attached;
use crate::smart_vm_error::SmartVmError;
use crate::snapshot::UffdHandler;
use crate::vsock::Doorbell;

/// The resources of a start that has not succeeded yet, in the order in which they are made.
///
/// It lives outside the start's future, so that whatever ends the future (an error, a kill) can
/// undo what was made.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    /// What is kept from others; let go after all else.
    pub(super) images: Option<ImagesInUse>,
    /// What was promised to it of the disk.
    pub(super) disk: Option<DiskUse>,
    /// The directory while it is being taken, which cannot be interrupted.
    pub(super) claiming: Option<JoinHandle<Result<Claimed, ClaimError>>>,
    /// Says to whoever waits for others that nobody wants this VM any more.
    pub(super) give_up: GiveUp,
    pub(super) dir: Option<VmDir>,
    /// The network devices while they are made, which cannot be interrupted.
    pub(super) attaching: Option<JoinHandle<Result<Attached, SmartVmError>>>,
    pub(super) staging: Staging,
    pub(super) process: Option<FirecrackerProcess>,
    /// It ends with the process' output.
    pub(super) recording: Option<ConsoleRecording>,
    /// The copy of the guest's serial port, where that is not the console.
    pub(super) serial: Option<PipeCopy>,
    /// What gives the guest its memory, where it is not the kernel.
    pub(super) uffd: Option<UffdHandler>,
    /// Hears that the guest is ready, where it has a way to tell.
    pub(super) doorbell: Option<Doorbell>,
}

/// A directory that was taken.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) dir: VmDir,
    /// Whether there is a jail in it, if there was to be one.
    pub(super) jail: Result<(), MakeJailError>,
}

/// What awaits the private copies.
pub(super) type Staging = Option<JoinHandle<Result<(), SmartVmError>>>;

/// What an undone start left.
#[derive(Debug)]
pub(super) struct Left {
    /// The directory, whose removal can be tried again.
    pub(super) dir: Option<VmDir>,
    pub(super) error: io::Error,
}

impl Attempt {
    /// The directory and the process, which have been made, and the copies that may be under way.
    pub(super) fn made(&mut self) -> (&mut VmDir, &FirecrackerProcess, &mut Staging) {
        let (Some(dir), Some(process)) = (&mut self.dir, &self.process) else {
            unreachable!("both are made before anything else is done with them");
        };
        (dir, process, &mut self.staging)
    }

    /// Removes everything, in reverse order. What cannot be removed is given back.
    pub(super) async fn undo(self) -> Result<(), Left> {
        self.give_up.give_up();
        if let Some(process) = self.process {
            process.terminate(KILL_NOW).await;
        }
        if let Some(staging) = self.staging {
            // A copy cannot be interrupted; it must be over before its directory goes.
            let _ = staging.await;
        }
        if let Some(attaching) = self.attaching {
            // The directory's record removes what it made.
            let _ = attaching.await;
        }
        drop(self.uffd);
        let claimed = match self.claiming {
            Some(claiming) => claiming.await.ok().and_then(Result::ok).map(|claimed| claimed.dir),
            None => None,
        };
        match self.dir.or(claimed) {
            Some(dir) => dir
                .remove_in_background()
                .await
                .map_err(|(dir, error)| Left { dir: dir.map(|dir| *dir), error }),
            None => Ok(()),
        }
    }
}
