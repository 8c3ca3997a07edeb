//! Firecracker itself: its binary, its process and its API.
//!
//! This crate owns one Firecracker process at a time and talks to it. It knows nothing of images,
//! networks or the records of a manager.
//!
//! * [`FirecrackerBinary`] finds and checks the program before anything is started.
//! * [`FirecrackerProcess`] starts it, tells when it is ready and when it ended, and ends it.
//! * [`JailSpec`] has it do so under Firecracker's jailer, [`JailerBinary`].
//! * [`Console`] is the guest's serial console, kept in bounded memory.
//! * [`FirecrackerLog`] is its own log, [`Metrics`] what it counts.
//! * [`capability`] knows what each version can do, and where it is defective.
//! * [`DirWatch`] tells what appears in a directory, and what goes from it.
//! * [`ApiClient`] speaks HTTP on its Unix socket, with the wire types of [`api`].
//!
//! Nothing here is learnt by looking again at intervals: the process is watched through a pidfd,
//! the socket through inotify. All waiting is asynchronous, after at most 100 µs in place for an
//! answer of the API, and needs a tokio runtime with I/O and time enabled.

pub mod api;
mod binary;
pub mod capability;
mod client;
mod console;
mod dir_watch;
mod jailer;
mod log;
mod metrics;
mod process;
mod stream;
mod version;

pub use binary::{
    FirecrackerBinary, OpenBinaryError, ParseFormatError, ProbeVersionError, SnapshotFormat,
};
pub use client::{Answer, AnswerError, ApiClient, ApiError, ConnectError, ExchangeError};
pub use console::{Console, ConsoleChunk, ConsoleReader, ConsoleRecording};
pub use dir_watch::DirWatch;
pub use jailer::{
    BindMount, JailSpec, JailerBinary, OpenJailerError, ProbeJailerError, ResourceLimits, end_jail,
    jail_lives,
};
pub use log::{FirecrackerLog, LogFile, LogLine, LogPipe, Severity};
pub use metrics::{
    FlushMetricsError, Metric, MetricKind, Metrics, MetricsFlush, MetricsPipe, MetricsSnapshot,
    MetricsTotals, ParseFlushError,
};
pub use process::{
    FirecrackerProcess, LaunchError, LaunchSpec, ProcessExit, ReadyError, StopStep, TERM_THEN_KILL,
    Termination, raise_open_files,
};
/// What [`FirecrackerProcess::signal`] sends.
pub use rustix::process::Signal;
pub use smartvm_dir::{ProcessIdentity, is_stopped};
pub use stream::{BoundedFile, Fifo, OpenBoundedFileError, PipeCopy};
pub use version::{FirecrackerVersion, ParseVersionError};
