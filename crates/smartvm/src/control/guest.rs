//! The agent in the guest of a VM that another process owns.

use std::path::{Path, PathBuf};
use std::time::Duration;

use smartvm_guest::{Dial, Dialling, Guest, Unreachable};
use smartvm_protocol::AGENT_PORT;

use super::client::{ControlClient, ControlError};
use crate::vm_id::VmId;

/// Has the owner dial.
#[derive(Debug)]
struct OthersVm {
    runtime_dir: PathBuf,
    id: VmId,
    patience: Duration,
}

impl Dial for OthersVm {
    fn dial(&self) -> Dialling<'_> {
        Box::pin(async {
            let connected = async {
                let owner = ControlClient::connect(&self.runtime_dir, &self.id).await?;
                owner.connect_guest(AGENT_PORT, self.patience).await
            };
            connected.await.map_err(unreachable)
        })
    }
}

fn unreachable(error: ControlError) -> Unreachable {
    Unreachable::new(error.code().to_owned(), error.hint(), error)
}

/// What runs in the guest of VM `id` in `runtime_dir`. A guest that still boots is waited for, `patience` at most.
/// Nothing is connected until something is asked of it; each session's bytes go by nobody but Firecracker.
#[must_use]
pub fn guest(runtime_dir: &Path, id: &VmId, patience: Duration) -> Guest {
    Guest::new(OthersVm { runtime_dir: runtime_dir.to_owned(), id: id.clone(), patience })
}
