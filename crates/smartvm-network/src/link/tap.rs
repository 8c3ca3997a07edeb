//! Making a TAP.
//!
//! A TAP has one queue, and whoever has it open keeps all others from opening it. A child that this
//! process starts meanwhile has a copy of every descriptor until it has become its program, on a busy
//! host for longer than a Firecracker takes to open its TAP (`EBUSY`). So a TAP is made by a thread
//! that has a table of descriptors of its own, which no child is ever given a copy of.

use std::io;
use std::os::fd::AsRawFd;
use std::thread;

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
/// When this returns nobody has the device open, whatever programs are started meanwhile.
///
/// # Errors
/// When the kernel refuses a step.
pub fn make_tap(name: &InterfaceName, owner: u32, group: u32) -> Result<(), MakeTapError> {
    let made = thread::scope(|scope| {
        let builder = thread::Builder::new().name("smartvm-tap".to_owned());
        let making = builder.spawn_scoped(scope, || make_apart(name, owner, group))?;
        making.join().map_err(|_| io::Error::other("it panicked"))
    });
    made.unwrap_or_else(|source| {
        Err(MakeTapError { step: "start a thread that makes", name: name.clone(), source })
    })
}

/// Makes it, on a thread that does nothing else.
fn make_apart(name: &InterfaceName, owner: u32, group: u32) -> Result<(), MakeTapError> {
    let failed = |step| move |source| MakeTapError { step, name: name.clone(), source };
    leave_descriptors().map_err(failed("keep to one thread the descriptor of"))?;
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

/// Gives the calling thread a table of descriptors of its own, with no copies of this process' but the
/// standard streams: a copy of a lock's or a pipe's would keep it taken or open.
#[expect(unsafe_code, reason = "a system call that rustix has no wrapper for")]
fn leave_descriptors() -> io::Result<()> {
    const FIRST_OTHER: libc::c_int = 3;
    let (last, flags) = (libc::c_uint::MAX, libc::CLOSE_RANGE_UNSHARE);
    // SAFETY: the call takes numbers only. It closes descriptors of the new table alone, and nothing
    // that runs on this thread was given one of them.
    let done = unsafe { libc::syscall(libc::SYS_close_range, FIRST_OTHER, last, flags) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
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
