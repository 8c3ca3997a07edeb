//! Waiting until the kernel has found the root device.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

use crate::failure::Failure;

const DEVICES: &str = "/dev";
/// Drives are found within milliseconds; this is for a host that is very busy.
const PATIENCE: Duration = Duration::from_secs(10);

/// Returns as soon as there is a `device`.
pub(crate) fn wait_for(device: &str) -> Result<(), Failure> {
    let cannot = |reason: &dyn std::fmt::Display| {
        Failure::new(format!("find the root device {device}"), reason)
    };
    // Watched first and looked at then: a device that appears in between is not missed.
    let watch = watch_devices().map_err(|error| cannot(&error))?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match rustix::fs::stat(device) {
            Ok(_) => return Ok(()),
            Err(Errno::NOENT) => {}
            Err(error) => return Err(cannot(&error)),
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let reason = format!(
                "it did not appear within {} s; block devices here: {}",
                PATIENCE.as_secs(),
                block_devices(),
            );
            return Err(cannot(&reason));
        }
        wait_for_change(&watch, left).map_err(|error| cannot(&error))?;
    }
}

fn watch_devices() -> Result<OwnedFd, Errno> {
    let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    inotify::add_watch(&watch, DEVICES, WatchFlags::CREATE | WatchFlags::MOVED_TO)?;
    Ok(watch)
}

/// Returns after a change in `/dev`, or after `patience`.
fn wait_for_change(watch: &OwnedFd, patience: Duration) -> Result<(), Errno> {
    let timeout = Timespec::try_from(patience).map_err(|_| Errno::INVAL)?;
    match poll(&mut [PollFd::new(watch, PollFlags::IN)], Some(&timeout)) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error),
    }
    // Read off what came, so that the next wait waits.
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut events = inotify::Reader::new(watch, &mut buffer);
    loop {
        match events.next() {
            Ok(_) => {}
            Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn block_devices() -> String {
    let entries = std::fs::read_dir("/sys/class/block").into_iter().flatten().flatten();
    let mut names: Vec<_> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
