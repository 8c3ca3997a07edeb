//! Firecracker's own log: read, taken apart, kept within bounds and passed on.
//!
//! Firecracker writes it to a named pipe, without ever waiting for us. What it says before it knows
//! of the pipe, and when it panics, comes on its standard error and is treated alike.
//!
//! * `line` takes a line apart,
//! * `kept` is the end of the log in memory, and `handle` how others see it,
//! * `relay` passes lines on to `tracing`, within an `allowance`,
//! * `pipe` and `pump` carry the lines from Firecracker to all of these.

mod allowance;
mod handle;
mod kept;
mod line;
mod pipe;
mod pump;
mod relay;

pub use handle::FirecrackerLog;
pub use line::{LogLine, Severity};
pub use pipe::{LogFile, LogPipe};
pub(crate) use pump::{LogPump, LogSources, start as start_pump};
