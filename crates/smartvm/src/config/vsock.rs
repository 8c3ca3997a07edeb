//! The socket between guest and host.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use smartvm_firecracker::api::{GuestCid, Vsock};

use super::invalid::Breaches;

/// A vsock device: programs of the guest and of the host reach each other through it, without a
/// network.
///
/// A program of the host connects to the Unix socket, sends `CONNECT <port>\n` and reads
/// `OK <number>\n`; from then on it talks to whoever listens on that port in the guest. A connection
/// from the guest to port N of CID 2 arrives at the Unix socket `vsock.sock_N` in the VM's own directory,
/// which a program of the host must have made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VsockConfig {
    /// The guest's address: 3 or more. VMs of one host may have the same one.
    pub guest_cid: u32,
    /// Where the Unix socket is reachable on the host. Nothing may be there yet. Absent: only in the
    /// VM's own directory, as `vsock.sock`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uds_path: Option<PathBuf>,
}

impl VsockConfig {
    /// The longest path of a Unix socket in bytes: `sun_path` less its final zero.
    const MAX_PATH: usize = 107;

    pub(crate) fn check(&self, breaches: &mut Breaches) {
        breaches.require(self.guest_cid >= 3, "vsock.guestCid", "must be >= 3");
        breaches.require(
            // VMADDR_CID_ANY means "any", in every call that takes a CID.
            self.guest_cid != u32::MAX,
            "vsock.guestCid",
            "must be below 4294967295",
        );
        if let Some(path) = &self.uds_path {
            breaches.require(!path.as_os_str().is_empty(), "vsock.udsPath", "must not be empty");
            breaches.require(
                path.as_os_str().as_bytes().len() <= Self::MAX_PATH,
                "vsock.udsPath",
                "must have at most 107 bytes, as every path of a socket",
            );
        }
    }

    /// Firecracker's form, which makes the socket under this name.
    pub(crate) fn to_wire(&self, socket: &str) -> Vsock {
        let cid = GuestCid::try_from(self.guest_cid).expect("a checked CID is 3 or more");
        Vsock::new(cid, socket)
    }
}
