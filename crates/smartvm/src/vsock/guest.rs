//! The agent in a VM's guest, for who has the VM.

use std::time::Duration;

use smartvm_guest::{Dial, Dialling, Guest, Unreachable};
use smartvm_protocol::AGENT_PORT;

use super::connect::ConnectGuestError;
use crate::micro_vm::MicroVm;

/// How long a guest that has not rung yet is waited for by whatever is asked of it.
const BOOTS: Duration = Duration::from_secs(60);

/// Dials the agent through the VM's own socket.
#[derive(Debug)]
struct OwnVm(MicroVm);

impl Dial for OwnVm {
    fn dial(&self) -> Dialling<'_> {
        Box::pin(async {
            let connected = async {
                self.0.wait_for_agent(BOOTS).await?;
                self.0.connect_guest(AGENT_PORT).await
            };
            connected.await.map_err(unreachable)
        })
    }
}

fn unreachable(error: ConnectGuestError) -> Unreachable {
    Unreachable::new(error.code(), error.hint(), error)
}

impl MicroVm {
    /// What runs in the guest: programs, files, forwarded streams. The guest needs `smartvm-agent`, as the initramfs of an
    /// imported kernel brings it, and the VM a vsock. Whatever is asked of a guest that still boots waits for it, a minute
    /// at most; [`wait_for_agent`](Self::wait_for_agent) waits as long as one likes.
    ///
    /// The value holds a handle of the VM.
    #[must_use]
    pub fn guest(&self) -> Guest {
        Guest::new(OwnVm(self.clone()))
    }
}
