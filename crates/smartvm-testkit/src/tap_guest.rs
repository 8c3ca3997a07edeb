//! A stand-in for a guest behind a TAP.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};

use crate::NetNamespace;

const IFF_TAP: libc::c_short = 0x0002;
const IFF_NO_PI: libc::c_short = 0x1000;
const IFF_VNET_HDR: libc::c_short = 0x4000;
const TUNSETIFF: libc::c_ulong = 0x4004_54ca;
/// What stands before each frame on a TAP with `IFF_VNET_HDR`.
const VNET_HEADER: usize = 10;

/// The frames that a guest was sent, the oldest first.
type Heard = Arc<Mutex<Vec<Vec<u8>>>>;

/// How many of them are kept.
const KEPT: usize = 100_000;

/// A network namespace whose `eth0` is the other end of a TAP of a host, as a guest's is through
/// Firecracker: frames go both ways as they are. Programs and sockets in it stand in for the
/// guest's. Needs root.
#[derive(Debug)]
pub struct TapGuest {
    /// Where its programs run.
    pub namespace: NetNamespace,
    host_end: Arc<File>,
    heard: Heard,
    stop: Arc<rustix::fd::OwnedFd>,
    pump: Option<JoinHandle<()>>,
}

impl TapGuest {
    /// Opens the TAP, which exists in namespace `host`, and gives the guest's end an address such
    /// as `172.30.0.2/24` and a default route.
    ///
    /// # Panics
    /// When the host does not let us.
    #[must_use]
    #[track_caller]
    pub fn new(
        host: &NetNamespace,
        tap: &str,
        mac: &str,
        address: &str,
        gateway: Ipv4Addr,
    ) -> Self {
        let host_end = host.run(|| open_tap(tap, IFF_VNET_HDR).expect("the host has the TAP"));
        let namespace = NetNamespace::new();
        let guest_end = namespace.run(|| open_tap("eth0", 0).expect("a namespace can have a TAP"));
        namespace.ip(&format!("link set eth0 address {mac}"));
        namespace.ip("link set eth0 up");
        namespace.ip(&format!("addr add {address} dev eth0"));
        namespace.ip(&format!("route add default via {gateway}"));
        let (host_end, guest_end) = (Arc::new(host_end), Arc::new(guest_end));
        let stop =
            Arc::new(eventfd(0, EventfdFlags::CLOEXEC).expect("a process can have an event"));
        let heard = Heard::default();
        let ends = (Arc::clone(&host_end), guest_end, Arc::clone(&stop), Arc::clone(&heard));
        let pump = thread::spawn(move || pump(&ends.0, &ends.1, &ends.2, &ends.3));
        Self { namespace, host_end, heard, stop, pump: Some(pump) }
    }

    /// Sends a frame as a guest that makes its own.
    ///
    /// # Panics
    /// When the TAP does not take it, as it does not while it is down.
    #[track_caller]
    pub fn send_frame(&self, frame: &[u8]) {
        self.try_send_frame(frame).expect("the TAP takes a frame");
    }

    /// The frames that it was sent until now.
    #[must_use]
    pub fn heard(&self) -> Vec<Vec<u8>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same as [`send_frame`](Self::send_frame), whether the TAP takes it or not.
    ///
    /// # Errors
    /// What the TAP says.
    pub fn try_send_frame(&self, frame: &[u8]) -> io::Result<()> {
        let mut bytes = vec![0; VNET_HEADER];
        bytes.extend_from_slice(frame);
        (&*self.host_end).write_all(&bytes)
    }
}

impl Drop for TapGuest {
    fn drop(&mut self) {
        let _ = rustix::io::write(&*self.stop, &1_u64.to_ne_bytes());
        if let Some(pump) = self.pump.take() {
            let _ = pump.join();
        }
    }
}

/// Carries frames both ways until told to stop, or until an end is gone.
fn pump(host_end: &File, guest_end: &File, stop: &rustix::fd::OwnedFd, heard: &Heard) {
    let mut buffer = vec![0; 65_536 + VNET_HEADER];
    loop {
        let mut fds = [
            PollFd::new(host_end, PollFlags::IN),
            PollFd::new(guest_end, PollFlags::IN),
            PollFd::from_borrowed_fd(stop.as_fd(), PollFlags::IN),
        ];
        if poll(&mut fds, None).is_err() {
            continue;
        }
        let ready: Vec<_> = fds.iter().map(|fd| fd.revents()).collect();
        if !ready[2].is_empty() {
            return;
        }
        if ready[0].contains(PollFlags::IN)
            && let Ok(length) = (&*host_end).read(&mut buffer)
        {
            let frame = &buffer[VNET_HEADER.min(length)..length];
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            if heard.len() < KEPT {
                heard.push(frame.to_vec());
            }
            drop(heard);
            // A guest that is not up loses frames, as a real one does.
            let _ = (&*guest_end).write(frame);
        }
        if ready[1].contains(PollFlags::IN)
            && let Ok(length) = (&*guest_end).read(&mut buffer[VNET_HEADER..])
        {
            buffer[..VNET_HEADER].fill(0);
            let _ = (&*host_end).write(&buffer[..VNET_HEADER + length]);
        }
        let gone = PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
        if ready[0].intersects(gone) && !ready[0].contains(PollFlags::IN) {
            return;
        }
    }
}

#[expect(unsafe_code, reason = "a system call that rustix has no wrapper for")]
fn open_tap(name: &str, flags: libc::c_short) -> io::Result<File> {
    let file = fs_err::OpenOptions::new().read(true).write(true).open("/dev/net/tun")?.into_file();
    // SAFETY: an `ifreq` is plain data, for which zeros are a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().take(15).zip(name.bytes()) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = IFF_TAP | IFF_NO_PI | flags;
    // SAFETY: the descriptor is open, and the request is an `ifreq` with a name that ends in a zero;
    // it lives until the call returns.
    let done = unsafe { libc::ioctl(file.as_raw_fd(), TUNSETIFF, &raw mut request) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(file) }
}
