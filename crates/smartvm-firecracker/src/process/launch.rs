//! Starting the process.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::unix::pipe;
use tokio::sync::{Mutex, watch};

use super::spawn::{Confinement, Mount, SpawnRequest, Spawned, spawn};
use super::supervise::{Pumps, Stream, supervise};
use smartvm_dir::ProcessIdentity;

use super::FirecrackerProcess;
use crate::FirecrackerBinary;
use crate::api::LogLevel;
use crate::console::{Console, Output};
use crate::dir_watch::DirWatch;
use crate::jailer::{self, GUARD, GUARD_IDENTITY, JailSpec, STDERR_FIFO, make_stderr_fifo};
use crate::log::{self, LogPipe, LogSources};
use crate::metrics::{self, MetricsPipe};

/// The longest path of a Unix socket in bytes: `sun_path` less its final zero.
const SOCKET_PATH_LIMIT: usize = 107;

/// Firecracker's own limit to `--id`.
const INSTANCE_ID_LIMIT: usize = 64;

/// As much of the log as is kept, in bytes.
pub(super) const LOG_CAPACITY: usize = 16 * 1024;

/// How to start Firecracker.
#[derive(Debug)]
pub struct LaunchSpec {
    /// Where Firecracker runs; where this process does when `None`. It resolves relative names in
    /// API requests, and snapshots, against this directory.
    pub working_dir: Option<PathBuf>,
    /// Where Firecracker makes its API socket: at most 107 bytes, in a directory that exists,
    /// where nothing is yet. It is removed with the process.
    pub socket_path: PathBuf,
    /// Firecracker's `--id`: 1 to 64 letters, digits and `-`. In a jail it is the jail's.
    pub instance_id: String,
    /// What the VM is called in the field `vm` of events that Firecracker's log becomes; `instance_id` when `None`.
    pub vm: Option<String>,
    /// How much Firecracker logs; [`LogLevel::Info`], its own default, when `None`.
    pub log_level: Option<LogLevel>,
    /// Where Firecracker writes its log: a pipe in its working directory or below. Without, the log
    /// comes by way of `/proc/self/fd/2`.
    pub log: Option<LogPipe>,
    /// Where Firecracker writes its metrics; without, it writes none.
    pub metrics: Option<MetricsPipe>,
    /// Whether devices are on a PCI bus, since Firecracker 1.13; an older one ends at once.
    pub enable_pci: bool,
    /// How many bytes of the guest's console are kept.
    pub console_capacity: usize,
    /// Whether the kernel kills Firecracker when this process is gone, however it ended.
    pub die_with_parent: bool,
}

impl FirecrackerProcess {
    /// Starts Firecracker, in a process group of its own, with no environment, and without waiting
    /// for it to be ready: see [`FirecrackerProcess::ready`].
    ///
    /// Its standard input and output are the guest's [`Console`]; its log and what comes on standard
    /// error are kept apart.
    ///
    /// When the future is dropped, a process that was started is killed.
    ///
    /// # Errors
    /// When the specification cannot work, before anything is started; when the program cannot be
    /// started. See [`LaunchError::code`].
    pub async fn launch(binary: &FirecrackerBinary, spec: LaunchSpec) -> Result<Self, LaunchError> {
        check(&spec)?;
        let failed = |source| LaunchError::Spawn { path: binary.path().to_owned(), source };
        // It runs elsewhere as a rule.
        let socket = std::path::absolute(&spec.socket_path).map_err(failed)?;
        let mut args: Vec<OsString> = vec!["--id".into(), spec.instance_id.clone().into()];
        args.extend(arguments(&spec, socket.as_ref(), "/proc/self/fd/2"));
        let request = SpawnRequest {
            program: binary.path().to_owned(),
            args,
            working_dir: spec.working_dir.clone(),
            socket_path: Some(spec.socket_path.clone()),
            die_with_parent: spec.die_with_parent,
            ..SpawnRequest::default()
        };
        Self::launch_as(binary, spec, request).await
    }

    /// Starts Firecracker under its jailer, otherwise as [`FirecrackerProcess::launch`] does.
    ///
    /// It runs in the jail's root directory, which the caller made, and has nothing of the host but
    /// what is in there. Its socket must be directly in that directory; `instance_id` and
    /// `working_dir` of `spec` mean nothing. It is in a PID namespace of its own, and dies with this
    /// process in any case: the namespace does.
    ///
    /// # Errors
    /// As [`FirecrackerProcess::launch`]. What the jailer itself cannot do is learnt from
    /// [`FirecrackerProcess::ready`].
    pub async fn launch_jailed(
        binary: &FirecrackerBinary,
        jail: &JailSpec,
        mut spec: LaunchSpec,
    ) -> Result<Self, LaunchError> {
        let instance_id = std::mem::replace(&mut spec.instance_id, jail.id.clone());
        spec.vm.get_or_insert(instance_id);
        check(&spec)?;
        let failed = |source| LaunchError::Spawn { path: jail.jailer.path().to_owned(), source };
        let root = jail.root(binary);
        let socket = match spec.socket_path.strip_prefix(&root) {
            Ok(name) if name.components().count() == 1 => name.as_os_str().to_owned(),
            _ => return Err(LaunchError::SocketOutside { path: spec.socket_path, root }),
        };
        let program = std::path::absolute(binary.path()).map_err(failed)?;
        let stderr = make_stderr_fifo(&root, jail.uid, jail.gid).map_err(failed)?;
        let mounts =
            jail.binds.iter().map(|bind| Mount::bind(&bind.source, &bind.target, bind.read_only));
        let confinement = Confinement {
            guard: jail.dir(binary).join(GUARD),
            guard_identity: jail.dir(binary).join(GUARD_IDENTITY),
            cgroup: jail.cgroup.clone(),
            mounts: mounts.collect::<io::Result<_>>().map_err(failed)?,
        };
        let request = SpawnRequest {
            program: jail.jailer.path().to_owned(),
            args: jailer::arguments(jail, &program, arguments(&spec, &socket, STDERR_FIFO)),
            socket_path: Some(spec.socket_path.clone()),
            stderr: Some(stderr),
            confinement: Some(confinement),
            ..SpawnRequest::default()
        };
        Self::launch_as(binary, spec, request).await
    }

    async fn launch_as(
        binary: &FirecrackerBinary,
        spec: LaunchSpec,
        request: SpawnRequest,
    ) -> Result<Self, LaunchError> {
        let socket_watch = watch_socket_dir(&spec.socket_path)?;
        let program = request.program.clone();
        let failed = |source| LaunchError::Spawn { path: program.clone(), source };
        // The guard first, to be dropped last: it waits for the child to be reaped.
        let Spawned { guard, child, stdin, stdout, stderr } =
            spawn(request).await.map_err(failed)?;
        // From here on, dropping `child` kills the process.
        let identity = ProcessIdentity::of(child.pid()).map_err(failed)?;
        let child = Arc::new(child);
        let watched = child.watch().map_err(failed)?;

        let input = pipe::Sender::from_owned_fd(stdin).map_err(failed)?;
        let (console, console_output) = stream(stdout, spec.console_capacity).map_err(failed)?;
        let log = LogSources {
            vm: spec.vm.unwrap_or_else(|| spec.instance_id.clone()),
            instance: spec.instance_id.clone(),
            stderr,
            pipe: spec.log,
            capacity: LOG_CAPACITY,
        };
        let (log_pump, log, log_text) = log::start_pump(log).map_err(failed)?;
        let metrics = spec.metrics.map(metrics::start_pump).transpose().map_err(failed)?;
        let (metrics_pump, metrics) = metrics.unzip();
        let pumps = Pumps { log: log_pump, log_text: log_text.clone(), metrics: metrics_pump };
        let (exit_sender, exit) = watch::channel(None);
        tokio::spawn(supervise(watched, console, pumps, exit_sender));
        tracing::debug!(pid = identity.pid, id = spec.instance_id, "Firecracker started");

        Ok(Self {
            child,
            _guard: guard,
            binary: binary.clone(),
            socket_path: spec.socket_path,
            socket_watch: Mutex::new(Some(socket_watch)),
            pci: spec.enable_pci,
            identity,
            console: Console::new(console_output, input),
            log,
            log_text,
            metrics,
            exit,
        })
    }
}

/// Firecracker was not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// The kernel takes no longer path for a socket.
    #[error(
        "the socket path {} is {} bytes long, {SOCKET_PATH_LIMIT} are possible",
        path.display(), path.as_os_str().len()
    )]
    SocketPathTooLong {
        /// The path asked for.
        path: PathBuf,
    },
    /// Something is at the socket's path already.
    #[error("{} exists already", path.display())]
    SocketExists {
        /// The path asked for.
        path: PathBuf,
    },
    /// Firecracker takes no such identifier.
    #[error("`{id}` cannot be an instance id: it takes 1 to 64 letters, digits and `-`")]
    InvalidInstanceId {
        /// The identifier asked for.
        id: String,
    },
    /// A jailed Firecracker can make its socket in its root directory only.
    #[error("the socket {} is not directly in the jail {}", path.display(), root.display())]
    SocketOutside {
        /// The path asked for.
        path: PathBuf,
        /// The jail's root directory.
        root: PathBuf,
    },
    /// The directory for the socket cannot be used.
    #[error("failed to watch {} for the API socket", dir.display())]
    SocketDir {
        /// The directory.
        dir: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The program could not be started, or not be watched.
    #[error("failed to start {}", path.display())]
    Spawn {
        /// The program.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

impl LaunchError {
    /// A stable name of the kind of failure.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::SocketPathTooLong { .. } => "SOCKET_PATH_TOO_LONG",
            Self::SocketExists { .. } => "SOCKET_EXISTS",
            Self::InvalidInstanceId { .. } => "INSTANCE_ID_INVALID",
            Self::SocketOutside { .. } | Self::SocketDir { .. } => "SOCKET_DIR_UNUSABLE",
            Self::Spawn { .. } => "FIRECRACKER_START_FAILED",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::SocketPathTooLong { .. } => {
                Some("choose a runtime directory with a shorter path".to_owned())
            }
            Self::SocketExists { path } => {
                Some(format!("remove {} if no Firecracker uses it any more", path.display()))
            }
            Self::InvalidInstanceId { .. }
            | Self::SocketOutside { .. }
            | Self::SocketDir { .. }
            | Self::Spawn { .. } => None,
        }
    }
}

fn check(spec: &LaunchSpec) -> Result<(), LaunchError> {
    let id = &spec.instance_id;
    let is_id = (1..=INSTANCE_ID_LIMIT).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !is_id {
        return Err(LaunchError::InvalidInstanceId { id: id.clone() });
    }
    let path = &spec.socket_path;
    if path.as_os_str().as_bytes().len() > SOCKET_PATH_LIMIT {
        return Err(LaunchError::SocketPathTooLong { path: path.clone() });
    }
    // Firecracker would fail to bind, while we would talk to whoever listens there.
    if path.symlink_metadata().is_ok() {
        return Err(LaunchError::SocketExists { path: path.clone() });
    }
    Ok(())
}

/// Before the start, so that the socket's appearance cannot be missed.
fn watch_socket_dir(socket_path: &Path) -> Result<DirWatch, LaunchError> {
    let dir = match socket_path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    DirWatch::of_arrivals(dir)
        .map_err(|source| LaunchError::SocketDir { dir: dir.to_owned(), source })
}

/// What Firecracker is told, apart from its id. Its log goes to `log` when it has no pipe for that:
/// otherwise it would come on standard output, in between the guest's console.
fn arguments(spec: &LaunchSpec, socket: &OsStr, log: &str) -> Vec<OsString> {
    let level = spec.log_level.unwrap_or_default().as_str();
    let log = spec.log.as_ref().map_or_else(|| Path::new(log), |log| log.fifo.name());
    let mut args: Vec<OsString> = vec![
        "--api-sock".into(),
        socket.to_owned(),
        "--log-path".into(),
        log.into(),
        "--level".into(),
        level.into(),
        "--show-level".into(),
    ];
    if spec.enable_pci {
        args.push("--enable-pci".into());
    }
    if let Some(log) = &spec.log {
        if log.show_origin {
            args.push("--show-log-origin".into());
        }
        if let Some(module) = &log.module {
            args.extend(["--module".into(), module.into()]);
        }
    }
    if let Some(metrics) = spec.metrics.as_ref().filter(|metrics| metrics.at_launch) {
        args.extend(["--metrics-path".into(), metrics.fifo.name().into()]);
    }
    args
}

fn stream(pipe: OwnedFd, capacity: usize) -> io::Result<(Stream, Output)> {
    let pipe = pipe::Receiver::from_owned_fd(pipe)?;
    let (writer, output) = Output::new(capacity);
    Ok((Stream { pipe, writer, output: output.clone() }, output))
}
