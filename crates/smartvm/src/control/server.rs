//! The owner's side of a control socket.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::UnixListener;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use super::serve::serve;
use super::socket_path;
use crate::micro_vm::MicroVm;
use crate::smart_vm_error::SmartVmError;

/// How many connections are served at once; more wait.
const CONNECTIONS: usize = 8;

/// Serves a VM's control socket until it is dropped. It holds a handle of the VM.
#[derive(Debug)]
#[must_use = "dropping it ends the service"]
pub struct ControlServer {
    path: PathBuf,
    task: JoinHandle<()>,
}

impl ControlServer {
    /// Where the socket is.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        self.task.abort();
        // The VM's directory may have gone, and the socket with it.
        let _ = fs_err::remove_file(&self.path);
    }
}

impl MicroVm {
    /// Lets other processes of this user, and of root, ask something of the VM over the socket
    /// `control.sock` in its directory: see [`ControlClient`](super::ControlClient). The VM must have
    /// been started. Where somebody removes the VM's directory, the socket is made again with it. The service ends when the returned value is dropped, or with the VM.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// `RUNTIME_DIR_FAILED` when the socket cannot be made.
    pub fn serve_control(&self) -> Result<ControlServer, SmartVmError> {
        let path = socket_path(&self.runtime_dir());
        let failed = |source| SmartVmError::RuntimeDir { id: self.id().clone(), source };
        let listener = bind(&path).map_err(failed)?;
        let task = tokio::spawn(accept(self.clone(), path.clone(), listener));
        Ok(ControlServer { path, task })
    }
}

fn bind(path: &std::path::Path) -> io::Result<UnixListener> {
    let listener = UnixListener::bind(path)?;
    // The directory is ours alone, so nobody was quicker than this.
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn accept(vm: MicroVm, path: PathBuf, mut listener: UnixListener) {
    let mut restored = vm.watch_restored();
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let vm = vm.clone();
                    connections.spawn(async move {
                        serve(vm, stream).await;
                        drop(place);
                    });
                }
                // A connection that was given up, or no descriptor is free.
                Err(error) => {
                    tracing::warn!(%error, "a control connection was not accepted");
                    // Without this, a lack of descriptors would keep a processor busy.
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
            },
            Some(_) = connections.join_next() => {}
            Ok(()) = restored.changed() => match bind(&path) {
                Ok(again) => listener = again,
                Err(error) => {
                    tracing::warn!(vm = %vm.id(), %error, "the VM cannot be asked from outside any more");
                }
            },
            _ = vm.wait() => return,
        }
    }
}
