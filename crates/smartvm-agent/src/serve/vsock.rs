//! Addresses of the virtual socket, and what the guest's own is.

#![expect(unsafe_code, reason = "rustix knows neither these addresses nor this question")]

use std::os::fd::{AsFd, AsRawFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque};
use rustix::net::{AddressFamily, SocketAddrAny};

/// What binds to every context identifier that the guest has.
const CID_ANY: u32 = u32::MAX;

/// An address of the virtual socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VsockAddress {
    pub(crate) cid: u32,
    pub(crate) port: u32,
}

impl VsockAddress {
    pub(crate) const fn of_any(port: u32) -> Self {
        Self { cid: CID_ANY, port }
    }

    /// The address in what the kernel gave, if it is one of the virtual socket.
    pub(crate) fn of(address: &SocketAddrAny) -> Option<Self> {
        if address.address_family() != AddressFamily::VSOCK {
            return None;
        }
        // SAFETY: a `SocketAddrAny` points to storage that is larger than `sockaddr_vm` and aligned for every address;
        // all its bytes were written, by the kernel or as zeroes, and any of them are valid numbers.
        let address = unsafe { address.as_ptr().cast::<libc::sockaddr_vm>().read() };
        Some(Self { cid: address.svm_cid, port: address.svm_port })
    }
}

// SAFETY: the pointer that `f` is given is that of a whole `sockaddr_vm`, which lives until `f` returns.
unsafe impl SocketAddrArg for VsockAddress {
    unsafe fn with_sockaddr<R>(
        &self,
        f: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R,
    ) -> R {
        let address = libc::sockaddr_vm {
            svm_family: AddressFamily::VSOCK.as_raw(),
            svm_reserved1: 0,
            svm_port: self.port,
            svm_cid: self.cid,
            svm_zero: [0; 4],
        };
        let length = size_of::<libc::sockaddr_vm>();
        f((&raw const address).cast(), SocketAddrLen::try_from(length).unwrap_or(0))
    }
}

/// Whether the guest has a virtual socket device: without one there is nobody to talk to.
pub(crate) fn has_device() -> bool {
    const IOCTL_VM_SOCKETS_GET_LOCAL_CID: libc::Ioctl = 0x7b9;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let Ok(device) = rustix::fs::open("/dev/vsock", flags, Mode::empty()) else { return false };
    let mut cid = CID_ANY;
    // SAFETY: this request writes one `u32` to where it is told.
    let outcome = unsafe {
        libc::ioctl(device.as_fd().as_raw_fd(), IOCTL_VM_SOCKETS_GET_LOCAL_CID, &raw mut cid)
    };
    outcome == 0 && cid != CID_ANY
}

/// Whose connection it is: the other end's context identifier, and none when it is no virtual socket.
pub(crate) fn peer_cid(socket: impl AsFd) -> Result<Option<u32>, Errno> {
    let peer = rustix::net::getpeername(socket)?;
    Ok(peer.as_ref().and_then(VsockAddress::of).map(|address| address.cid))
}
