//! The client: its connection and what it knows of the other side.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::connect_error::ConnectError;
use super::link::Link;
use crate::FirecrackerVersion;

/// Longer than any call takes whose work does not grow with the guest's memory.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);

/// A snapshot is as large as the guest's memory, and its disk may be slow.
const DEFAULT_SNAPSHOT_DEADLINE: Duration = Duration::from_secs(300);

/// Firecracker's own default of `--http-api-max-payload-size` (`HTTP_MAX_PAYLOAD_SIZE`).
const DEFAULT_PAYLOAD_LIMIT: usize = 51_200;

/// A client of one Firecracker process' API.
///
/// It keeps one connection, on which requests are made one after the other; clones share it. A
/// connection that Firecracker closed while idle is opened anew, once, before a request is sent;
/// a request of which a byte may have been sent is never repeated.
///
/// A request given up midway (its future dropped, or its deadline passed) closes the connection,
/// and the next request opens another. Firecracker may still carry that request out. Until it
/// has, a task of the runtime keeps the connection readable: an answer to a connection that is gone
/// would end Firecracker, as its system call filter has no way back from the signal.
///
/// A client that knows the running version ([`with_version`](Self::with_version);
/// [`FirecrackerProcess::ready`](crate::FirecrackerProcess::ready) gives such a one) refuses what
/// that version does not know before it is sent.
///
/// ```no_run
/// use std::path::Path;
///
/// use smartvm_firecracker::ApiClient;
/// use smartvm_firecracker::api::{BootSource, Drive, MachineConfiguration, VcpuCount};
///
/// # async fn boot() -> Result<(), Box<dyn std::error::Error>> {
/// let client = ApiClient::connect(Path::new("/run/firecracker.socket")).await?;
/// let version = client.version().await?;
/// let client = client.with_version(version);
///
/// client.put_machine_config(&MachineConfiguration::new(VcpuCount::ONE, 256)).await?;
/// let kernel = "/images/vmlinux".into();
/// client.put_boot_source(&BootSource { kernel_image_path: kernel, ..Default::default() }).await?;
/// let root = Drive { is_root_device: true, ..Drive::new("root".parse()?, "/images/root.ext4") };
/// client.put_drive(&root).await?;
/// client.instance_start().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ApiClient {
    pub(super) path: Arc<Path>,
    /// The process that must listen there, if it is known.
    pub(super) peer: Option<u32>,
    pub(super) link: Arc<Mutex<Option<Link>>>,
    pub(super) deadline: Duration,
    snapshot_deadline: Duration,
    pub(super) payload_limit: usize,
    pub(super) version: Option<Arc<FirecrackerVersion>>,
    pub(super) pci: Option<bool>,
}

impl ApiClient {
    /// Connects to the socket at `path`. No request is made, and so the version is not known.
    ///
    /// Requests have a deadline of 10 seconds, those of snapshots one of 5 minutes.
    ///
    /// # Errors
    /// When nothing listens there or the socket may not be used.
    pub async fn connect(path: &Path) -> Result<Self, ConnectError> {
        Self::open(path, None).await
    }

    /// The same, of the process with this id: now and whenever a connection is made anew, nothing is
    /// sent to another one. A Firecracker that a guest has taken over can put a link to any socket of the host
    /// in the place of its own.
    ///
    /// # Errors
    /// As [`connect`](Self::connect), and when another process listens there.
    pub async fn connect_to(path: &Path, process: u32) -> Result<Self, ConnectError> {
        Self::open(path, Some(process)).await
    }

    async fn open(path: &Path, peer: Option<u32>) -> Result<Self, ConnectError> {
        let link = Link::open(path, peer)
            .await
            .map_err(|source| ConnectError { path: path.to_owned(), source })?;
        Ok(Self {
            path: path.into(),
            peer,
            link: Arc::new(Mutex::new(Some(link))),
            deadline: DEFAULT_DEADLINE,
            snapshot_deadline: DEFAULT_SNAPSHOT_DEADLINE,
            payload_limit: DEFAULT_PAYLOAD_LIMIT,
            version: None,
            pci: None,
        })
    }

    /// The same client, on the same connection, with another deadline for each request. It covers
    /// the wait for earlier requests, a connection made anew and the whole answer.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The same client, on the same connection, with another deadline for the creation and the
    /// loading of a snapshot. It is 5 minutes unless set.
    #[must_use]
    pub fn with_snapshot_deadline(mut self, deadline: Duration) -> Self {
        self.snapshot_deadline = deadline;
        self
    }

    /// The same client for a Firecracker that was started with another
    /// `--http-api-max-payload-size`, in bytes. It is 51200 unless set. A body beyond it is
    /// refused before it is sent, since Firecracker would drop the connection.
    #[must_use]
    pub fn with_payload_limit(mut self, bytes: usize) -> Self {
        self.payload_limit = bytes;
        self
    }

    /// The same client, which from now on refuses what this version does not know, with
    /// [`ApiError::TooOld`](super::ApiError::TooOld).
    #[must_use]
    pub fn with_version(mut self, version: FirecrackerVersion) -> Self {
        self.version = Some(Arc::new(version));
        self
    }

    /// The same client, told whether Firecracker was started with `--enable-pci`. Without it,
    /// plugging and unplugging devices is refused with
    /// [`ApiError::NeedsPci`](super::ApiError::NeedsPci); untold, Firecracker is asked.
    #[must_use]
    pub fn with_pci(mut self, enabled: bool) -> Self {
        self.pci = Some(enabled);
        self
    }

    /// The version that requests are checked against, if it is known.
    #[must_use]
    pub fn known_version(&self) -> Option<&FirecrackerVersion> {
        self.version.as_deref()
    }

    /// The client that makes a snapshot's calls.
    pub(super) fn patient(&self) -> Self {
        self.clone().with_deadline(self.snapshot_deadline)
    }
}
