//! Learning that something appeared in a directory, or went from it.

use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::fs::inotify::{
    CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init, remove_watch,
};
use rustix::io::Errno;
use tokio::sync::Notify;
use tokio::time::sleep;

/// How often to look where the kernel has no watch left to give: for what is about to appear, and for what is
/// not expected to go.
const FALLBACK_INTERVALS: (Duration, Duration) = (Duration::from_millis(2), Duration::from_secs(1));

/// Room for several events with the longest names.
const EVENT_BUFFER: usize = 4096;

/// Tells of changes in a directory from the moment it is made. All of a program share one inotify instance.
#[derive(Debug)]
pub struct DirWatch {
    /// `None` where other programs of this user hold all the kernel gives.
    watched: Option<WatchedDir>,
    fallback: Duration,
}

impl DirWatch {
    /// Tells of files that appear.
    ///
    /// # Errors
    /// When there is no such directory, or it may not be read.
    pub fn of_arrivals(dir: &Path) -> io::Result<Self> {
        let events = WatchFlags::CREATE | WatchFlags::MOVED_TO;
        Self::new(dir, events, FALLBACK_INTERVALS.0)
    }

    /// Tells of files that go, and of the directory's own removal.
    ///
    /// # Errors
    /// As [`of_arrivals`](Self::of_arrivals).
    pub fn of_losses(dir: &Path) -> io::Result<Self> {
        let itself = WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
        let events = WatchFlags::DELETE | WatchFlags::MOVED_FROM | itself;
        Self::new(dir, events, FALLBACK_INTERVALS.1)
    }

    fn new(dir: &Path, events: WatchFlags, fallback: Duration) -> io::Result<Self> {
        match WatchedDir::new(dir, events) {
            Ok(watched) => Ok(Self { watched: Some(watched), fallback }),
            Err(Errno::MFILE | Errno::NOSPC) => Ok(Self { watched: None, fallback }),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Waits until something has changed since the watch was made or last told so. May tell without
    /// cause; whoever waits looks for itself. Cancel safe.
    pub async fn changed(&self) {
        match &self.watched {
            Some(watched) => watched.changed.notified().await,
            None => sleep(self.fallback).await,
        }
    }
}

/// The one inotify instance of this program and who waits for what.
///
/// It is never closed: the kernel takes 8 to 16 ms to close one, longer than Firecracker takes to
/// start. And a user has no more than 128 of them by default. Taking a single directory out costs
/// nothing. A thread reads it, rather than a task, as runtimes come and go.
#[derive(Debug)]
struct Watcher {
    inotify: OwnedFd,
    /// By watch descriptor, which the kernel does not use twice.
    waiting: Mutex<HashMap<i32, Vec<Arc<Notify>>>>,
}

#[derive(Debug)]
struct WatchedDir {
    watcher: Arc<Watcher>,
    descriptor: i32,
    changed: Arc<Notify>,
}

impl WatchedDir {
    fn new(dir: &Path, events: WatchFlags) -> Result<Self, Errno> {
        let watcher = watcher()?;
        let changed = Arc::new(Notify::new());
        // Others may watch the directory already, for other events.
        let events = events | WatchFlags::ONLYDIR | WatchFlags::MASK_ADD;
        // Locked over both, lest the thread sees an event of a watch it does not know yet.
        let mut waiting = watcher.waiting();
        let descriptor = add_watch(&watcher.inotify, dir, events)?;
        waiting.entry(descriptor).or_default().push(Arc::clone(&changed));
        drop(waiting);
        Ok(Self { watcher, descriptor, changed })
    }
}

impl Drop for WatchedDir {
    fn drop(&mut self) {
        let mut waiting = self.watcher.waiting();
        if let Some(others) = waiting.get_mut(&self.descriptor) {
            others.retain(|other| !Arc::ptr_eq(other, &self.changed));
            if others.is_empty() {
                waiting.remove(&self.descriptor);
                // Fails when the directory was removed, and its watch with it.
                let _already_gone = remove_watch(&self.watcher.inotify, self.descriptor);
            }
        }
    }
}

impl Watcher {
    fn waiting(&self) -> MutexGuard<'_, HashMap<i32, Vec<Arc<Notify>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of all events, for ever.
    fn run(&self) {
        let mut buffer = [MaybeUninit::uninit(); EVENT_BUFFER];
        let mut events = Reader::new(&self.inotify, &mut buffer);
        loop {
            match events.next() {
                // Events were lost: any directory may be meant.
                Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => {
                    self.waiting().values().flatten().for_each(|waiter| waiter.notify_one());
                }
                Ok(event) => {
                    let waiting = self.waiting();
                    let waiters = waiting.get(&event.wd()).into_iter().flatten();
                    waiters.for_each(|waiter| waiter.notify_one());
                }
                Err(Errno::INTR) => {}
                Err(errno) => {
                    tracing::error!(error = %io::Error::from(errno), "inotify failed");
                    return;
                }
            }
        }
    }
}

/// The watcher, made on first use.
fn watcher() -> Result<Arc<Watcher>, Errno> {
    static WATCHER: Mutex<Option<Arc<Watcher>>> = Mutex::new(None);
    let mut slot = WATCHER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(watcher) = &*slot {
        return Ok(Arc::clone(watcher));
    }
    let inotify = init(CreateFlags::CLOEXEC)?;
    let watcher = Arc::new(Watcher { inotify, waiting: Mutex::default() });
    let reader = Arc::clone(&watcher);
    thread::Builder::new()
        .name("smartvm-inotify".to_owned())
        .spawn(move || reader.run())
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::AGAIN))?;
    *slot = Some(Arc::clone(&watcher));
    Ok(watcher)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(dir: &Path, name: &str) {
        fs_err::write(dir.join(name), b"").unwrap();
    }

    #[tokio::test]
    async fn tells_of_what_appeared_before_anybody_waited() {
        let dir = tempfile::tempdir().unwrap();
        let watch = DirWatch::of_arrivals(dir.path()).unwrap();
        create(dir.path(), "socket");
        watch.changed().await;
    }

    #[tokio::test]
    async fn each_watch_of_a_directory_is_told_until_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let first = DirWatch::of_arrivals(dir.path()).unwrap();
        let second = DirWatch::of_arrivals(dir.path()).unwrap();
        create(dir.path(), "one");
        first.changed().await;
        drop(first);
        second.changed().await;
        create(dir.path(), "two");
        second.changed().await;
    }

    #[tokio::test]
    async fn a_directory_that_was_removed_can_be_made_and_watched_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vm");
        for _ in 0..2 {
            fs_err::create_dir(&path).unwrap();
            let watch = DirWatch::of_arrivals(&path).unwrap();
            create(&path, "socket");
            watch.changed().await;
            fs_err::remove_dir_all(&path).unwrap();
        }
    }

    #[tokio::test]
    async fn what_goes_is_told_also_while_others_wait_for_what_appears() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vm");
        fs_err::create_dir(&path).unwrap();
        create(&path, "lock");
        let losses = DirWatch::of_losses(&path).unwrap();
        let arrivals = DirWatch::of_arrivals(&path).unwrap();
        create(&path, "one");
        arrivals.changed().await;
        fs_err::remove_file(path.join("lock")).unwrap();
        losses.changed().await;
        fs_err::remove_dir_all(&path).unwrap();
        losses.changed().await;
    }

    #[tokio::test]
    async fn a_directory_that_is_not_there_cannot_be_watched() {
        let dir = tempfile::tempdir().unwrap();
        let error = DirWatch::of_arrivals(&dir.path().join("gone")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
