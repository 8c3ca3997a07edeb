//! Hearing that something in the guest is ready.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::home::WorkDir;

/// Where Firecracker connects to when the guest connects to port 1 of the host.
const DOORBELL: &str = "vsock.sock_1";

/// How often it is answered at most. A guest that rings without an end is refused by Firecracker when
/// the queue of the socket is full, and takes no time of ours.
const PACE: Duration = Duration::from_millis(10);

/// Counts the rings of one VM until it is dropped.
#[derive(Debug)]
pub(crate) struct Doorbell {
    rings: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl Doorbell {
    /// Listens in `work_dir`. For before the guest runs: a ring that comes sooner is lost. Must be called within
    /// a tokio runtime.
    pub(crate) fn listen(work_dir: &WorkDir) -> io::Result<Self> {
        let listener = UnixListener::from_std(work_dir.bind_socket(Path::new(DOORBELL))?)?;
        let (count, rings) = watch::channel(0);
        let task = tokio::spawn(async move {
            loop {
                // A connection that was given up, or no descriptor is free: looked at again in a moment.
                if listener.accept().await.is_ok() {
                    count.send_modify(|count| *count += 1);
                }
                tokio::time::sleep(PACE).await;
            }
        });
        Ok(Self { rings, task })
    }

    /// How often it rang. The last value stays when the VM has ended.
    pub(crate) fn rings(&self) -> watch::Receiver<u64> {
        self.rings.clone()
    }
}

impl Drop for Doorbell {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn work_dir(dir: &Path) -> WorkDir {
        WorkDir::of_test(dir)
    }

    #[tokio::test]
    async fn a_ring_is_heard_and_the_connection_closed() {
        let dir = tempfile::tempdir().unwrap();
        let bell = Doorbell::listen(&work_dir(dir.path())).unwrap();
        let mut rings = bell.rings();
        assert_eq!(*rings.borrow(), 0);
        let socket = dir.path().join(DOORBELL);
        assert_eq!(fs_err::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
        let mut guest = tokio::net::UnixStream::connect(&socket).await.unwrap();
        rings.wait_for(|rings| *rings == 1).await.unwrap();
        let read = tokio::io::AsyncReadExt::read(&mut guest, &mut [0]).await.unwrap();
        assert_eq!(read, 0, "it carries no data");
    }

    #[tokio::test]
    async fn a_flood_of_rings_takes_a_few_answers_only() {
        let dir = tempfile::tempdir().unwrap();
        let bell = Doorbell::listen(&work_dir(dir.path())).unwrap();
        let mut rings = bell.rings();
        let socket = dir.path().join(DOORBELL);
        let flood = tokio::task::spawn_blocking(move || {
            (0..200).filter(|_| UnixStream::connect(&socket).is_ok()).count()
        });
        rings.wait_for(|rings| *rings > 0).await.unwrap();
        let rung = flood.await.unwrap();
        // Each ring is answered in a pace of its own: while hundreds came, few were looked at.
        assert!(rung > 100 && *rings.borrow() < 100, "{rung} {}", *rings.borrow());
    }
}
