//! Locks that hold between the tasks of a process and between processes.
//!
//! A lock is a file and an advisory lock on it: it goes with its holder, whatever ends that. Tasks of
//! one process queue up in memory first, so that at most one thread of it waits in the system.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::fs::FlockOperation;
use rustix::io::{Errno, retry_on_intr};
use tokio::sync::{Mutex as Queue, OwnedMutexGuard};

static QUEUES: LazyLock<Mutex<HashMap<PathBuf, Weak<Queue<()>>>>> = LazyLock::new(Mutex::default);

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(crate) struct FileLock {
    // Before the queue's guard: the next task finds it free.
    file: fs_err::File,
    _queue: Option<OwnedMutexGuard<()>>,
}

impl FileLock {
    /// Takes the lock for itself alone, creating its file. When somebody else has it, `waiting` is
    /// called, once, and it is waited for.
    pub(crate) async fn exclusive(path: &Path, waiting: impl Fn()) -> io::Result<Self> {
        let queue = queue_of(path);
        let guard = match Arc::clone(&queue).try_lock_owned() {
            Ok(guard) => guard,
            Err(_) => {
                waiting();
                queue.lock_owned().await
            }
        };
        if let Some(file) = try_lock(path, FlockOperation::NonBlockingLockExclusive)? {
            return Ok(Self { file, _queue: Some(guard) });
        }
        waiting();
        let path = path.to_owned();
        let file = blocking(move || lock(&path, FlockOperation::LockExclusive)).await?;
        Ok(Self { file, _queue: Some(guard) })
    }

    /// Takes the lock for itself alone unless somebody has it. Does not queue up.
    pub(crate) fn try_exclusive(path: &Path) -> io::Result<Option<Self>> {
        let file = try_lock(path, FlockOperation::NonBlockingLockExclusive)?;
        Ok(file.map(|file| Self { file, _queue: None }))
    }

    /// Takes the lock together with others that share it. Blocks while somebody has it alone.
    pub(crate) fn shared(path: &Path) -> io::Result<Self> {
        let file = match try_lock(path, FlockOperation::NonBlockingLockShared)? {
            Some(file) => file,
            None => lock(path, FlockOperation::LockShared)?,
        };
        Ok(Self { file, _queue: None })
    }

    /// Removes the lock's file. Only for who has the lock alone: whoever waits for it makes a new one.
    pub(crate) fn remove(self) -> io::Result<()> {
        fs_err::remove_file(self.file.path())
    }
}

/// Runs what blocks where it may.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}

fn queue_of(path: &Path) -> Arc<Queue<()>> {
    let mut queues = QUEUES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(queue) = queues.get(path).and_then(Weak::upgrade) {
        return queue;
    }
    queues.retain(|_, queue| queue.strong_count() > 0);
    let queue = Arc::default();
    queues.insert(path.to_owned(), Arc::downgrade(&queue));
    queue
}

fn lock(path: &Path, operation: FlockOperation) -> io::Result<fs_err::File> {
    loop {
        let file = open(path)?;
        retry_on_intr(|| rustix::fs::flock(&file, operation))?;
        if is_at(&file, path)? {
            return Ok(file);
        }
    }
}

fn try_lock(path: &Path, operation: FlockOperation) -> io::Result<Option<fs_err::File>> {
    loop {
        let file = open(path)?;
        match retry_on_intr(|| rustix::fs::flock(&file, operation)) {
            Err(Errno::WOULDBLOCK) => return Ok(None),
            other => other?,
        }
        if is_at(&file, path)? {
            return Ok(Some(file));
        }
    }
}

fn open(path: &Path) -> io::Result<fs_err::File> {
    let no_follow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    fs_err::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(no_follow)
        .open(path)
}

/// Whether the file was not removed, or replaced, before its lock was had.
fn is_at(file: &fs_err::File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs_err::metadata(path) {
        Ok(there) => Ok((ours.dev(), ours.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn many_tasks_have_it_one_after_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..1000 {
            let (path, inside, most) = (path.clone(), Arc::clone(&inside), Arc::clone(&most));
            tasks.spawn(async move {
                let lock = FileLock::exclusive(&path, || ()).await.unwrap();
                most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                inside.fetch_sub(1, Ordering::SeqCst);
                drop(lock);
            });
        }
        assert_eq!(tasks.join_all().await.len(), 1000);
        assert_eq!(most.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_removed_lock_is_not_held_by_two() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = FileLock::exclusive(&path, || ()).await.unwrap();
        let waiter = std::thread::spawn({
            let path = path.clone();
            move || FileLock::shared(&path).unwrap()
        });
        first.remove().unwrap();
        let second = waiter.join().unwrap();
        assert!(path.exists(), "the waiter has made it again");
        assert!(FileLock::try_exclusive(&path).unwrap().is_none());
        let third = FileLock::shared(&path).unwrap();
        drop(second);
        assert!(FileLock::try_exclusive(&path).unwrap().is_none());
        drop(third);
        assert!(FileLock::try_exclusive(&path).unwrap().is_some());
    }
}
