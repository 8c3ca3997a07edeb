//! Making a TAP.

use std::io;
use std::os::fd::AsRawFd;

use crate::InterfaceName;

const IFF_TAP: libc::c_short = 0x0002;
const IFF_NO_PI: libc::c_short = 0x1000;
const IFF_VNET_HDR: libc::c_short = 0x4000;
/// Refuses a device that exists.
const IFF_TUN_EXCL: libc::c_int = 0x8000;

const TUNSETIFF: libc::c_ulong = 0x4004_54ca;
const TUNSETPERSIST: libc::c_ulong = 0x4004_54cb;
const TUNSETOWNER: libc::c_ulong = 0x4004_54cc;
const TUNSETGROUP: libc::c_ulong = 0x4004_54ce;

/// A TAP that was not made.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step} TAP {name}")]
pub struct MakeTapError {
    step: &'static str,
    name: InterfaceName,
    source: io::Error,
}

impl MakeTapError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "TAP_FAILED"
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self.source.raw_os_error()? {
            libc::EPERM | libc::EACCES => Some("networks need root, or CAP_NET_ADMIN".to_owned()),
            libc::ENOENT | libc::ENODEV => Some("load the kernel's module tun".to_owned()),
            libc::EBUSY => Some(format!("see with `ip -d link show {}` whose it is", self.name)),
            _ => None,
        }
    }
}

/// Makes a TAP, down and on no bridge, that user `owner` and group `group` may open, and nobody
/// else but root. It stays until it is removed. That one of that name exists is an error.
///
/// A process killed within leaves nothing: the device goes with the descriptor until the last step.
///
/// # Errors
/// When the kernel refuses a step.
pub fn make_tap(name: &InterfaceName, owner: u32, group: u32) -> Result<(), MakeTapError> {
    let failed = |step| move |source| MakeTapError { step, name: name.clone(), source };
    let tun = rustix::fs::open(
        "/dev/net/tun",
        rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )
    .map_err(|errno| failed("open /dev/net/tun for")(errno.into()))?;
    create(tun.as_raw_fd(), name).map_err(failed("create"))?;
    let set = |request, value: u32| set(tun.as_raw_fd(), request, value);
    set(TUNSETOWNER, owner).map_err(failed("set the owner of"))?;
    set(TUNSETGROUP, group).map_err(failed("set the group of"))?;
    set(TUNSETPERSIST, 1).map_err(failed("keep"))
}

#[expect(unsafe_code, reason = "a system call that rustix has no wrapper for")]
fn create(tun: libc::c_int, name: &InterfaceName) -> io::Result<()> {
    // SAFETY: an `ifreq` is plain data, for which zeros are a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.as_str().bytes()) {
        *to = from.cast_signed();
    }
    let flags = libc::c_int::from(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR) | IFF_TUN_EXCL;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the kernel reads the flag as the sign bit"
    )]
    let flags = flags as libc::c_short;
    request.ifr_ifru.ifru_flags = flags;
    // SAFETY: the descriptor is open, and the request is an `ifreq` with a name that ends in a zero,
    // as 15 bytes of 16 are used at most; it lives until the call returns.
    let done = unsafe { libc::ioctl(tun, TUNSETIFF, &raw mut request) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[expect(unsafe_code, reason = "a system call that rustix has no wrapper for")]
fn set(tun: libc::c_int, request: libc::c_ulong, value: u32) -> io::Result<()> {
    // SAFETY: the descriptor is open, and these requests take a number, no pointer.
    let done = unsafe { libc::ioctl(tun, request, libc::c_ulong::from(value)) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
