//! Learning that something appeared in a directory.

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

/// How often to look where the kernel has no watch left to give.
const FALLBACK_INTERVAL: Duration = Duration::from_millis(2);

/// Room for several events with the longest names.
const EVENT_BUFFER: usize = 4096;

/// Tells of files that appear in a directory from the moment it is made.
#[derive(Debug)]
pub(super) struct SocketWatch {
    /// `None` where other programs of this user hold all the kernel gives.
    watched: Option<WatchedDir>,
}

impl SocketWatch {
    pub(super) fn of_dir(dir: &Path) -> io::Result<Self> {
        match WatchedDir::new(dir) {
            Ok(watched) => Ok(Self { watched: Some(watched) }),
            Err(Errno::MFILE | Errno::NOSPC) => Ok(Self { watched: None }),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Waits until something appeared since the watch was made or last told so. May tell without
    /// cause; whoever waits looks for itself. Cancel safe.
    pub(super) async fn changed(&self) {
        match &self.watched {
            Some(watched) => watched.appeared.notified().await,
            None => sleep(FALLBACK_INTERVAL).await,
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
    appeared: Arc<Notify>,
}

impl WatchedDir {
    fn new(dir: &Path) -> Result<Self, Errno> {
        let watcher = watcher()?;
        let appeared = Arc::new(Notify::new());
        let events = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR;
        // Locked over both, lest the thread sees an event of a watch it does not know yet.
        let mut waiting = watcher.waiting();
        let descriptor = add_watch(&watcher.inotify, dir, events)?;
        waiting.entry(descriptor).or_default().push(Arc::clone(&appeared));
        drop(waiting);
        Ok(Self { watcher, descriptor, appeared })
    }
}

impl Drop for WatchedDir {
    fn drop(&mut self) {
        let mut waiting = self.watcher.waiting();
        if let Some(others) = waiting.get_mut(&self.descriptor) {
            others.retain(|other| !Arc::ptr_eq(other, &self.appeared));
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
        let watch = SocketWatch::of_dir(dir.path()).unwrap();
        create(dir.path(), "socket");
        watch.changed().await;
    }

    #[tokio::test]
    async fn each_watch_of_a_directory_is_told_until_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let first = SocketWatch::of_dir(dir.path()).unwrap();
        let second = SocketWatch::of_dir(dir.path()).unwrap();
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
            let watch = SocketWatch::of_dir(&path).unwrap();
            create(&path, "socket");
            watch.changed().await;
            fs_err::remove_dir_all(&path).unwrap();
        }
    }

    #[tokio::test]
    async fn a_directory_that_is_not_there_cannot_be_watched() {
        let dir = tempfile::tempdir().unwrap();
        let error = SocketWatch::of_dir(&dir.path().join("gone")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
