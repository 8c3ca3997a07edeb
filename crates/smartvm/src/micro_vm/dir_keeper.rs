//! Looking after what says to others that the VM lives.

use std::io;

use smartvm_firecracker::DirWatch;

use crate::home::VmDir;
use crate::vm_id::VmId;

/// Notices what somebody else removes of the VM's directory.
#[derive(Debug)]
pub(super) struct DirKeeper {
    losses: Option<DirWatch>,
}

impl DirKeeper {
    /// Looks after the directory from now on.
    pub(super) fn of(id: &VmId, dir: &VmDir) -> Self {
        let losses = DirWatch::of_losses(dir.path());
        let told =
            |error: &io::Error| tracing::warn!(vm = %id, %error, "its directory is not watched");
        Self { losses: losses.inspect_err(told).ok() }
    }

    /// Waits until something has gone; for ever where nobody tells. May tell without cause. Cancel-safe.
    pub(super) async fn lost(&self) {
        match &self.losses {
            Some(losses) => losses.changed().await,
            None => std::future::pending().await,
        }
    }

    /// Puts back what is missing. Returns whether the directory is another one now.
    pub(super) async fn put_right(&mut self, id: &VmId, dir: &mut VmDir) -> bool {
        let keeper = dir.keeper();
        let put_right = tokio::task::spawn_blocking(move || keeper.put_right()).await;
        match put_right.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
            Ok(None) => false,
            Ok(Some(put_back)) => {
                let is_whole = put_back.is_whole();
                dir.take_back(put_back);
                let path = dir.path().display();
                tracing::warn!(
                    vm = %id, %path, is_whole,
                    "somebody has removed what says that the VM lives; it was put back"
                );
                if is_whole {
                    *self = Self::of(id, dir);
                }
                is_whole
            }
            Err(error) => {
                // It cannot be asked any more, and its id can be taken. It runs, and ends as others do.
                self.losses = None;
                tracing::error!(
                    vm = %id, %error,
                    "somebody has removed what says that the VM lives, and it cannot be put back"
                );
                false
            }
        }
    }
}
