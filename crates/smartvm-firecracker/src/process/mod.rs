//! The Firecracker process: started, watched and ended.
//!
//! * `launch` checks a [`LaunchSpec`] and has `spawn` start the program,
//! * `child` is the process itself: its pidfd, its signals, its reaping,
//! * `supervise` is the one task a process has: it moves its output and publishes its end,
//! * `ready` tells when the API answers,
//! * `terminate` ends it step by step, `identity` finds it again from another process,
//! * `open_files` is a limit that children do not share,
//! * `exit` and `exit_meaning` say how it ended.

mod child;
mod exit;
mod exit_meaning;
mod handle;
mod launch;
mod open_files;
mod readable_fd;
mod ready;
mod spawn;
mod supervise;
mod terminate;

pub(crate) use child::wait_readable;
pub use exit::ProcessExit;
pub use handle::FirecrackerProcess;
pub use launch::{LaunchError, LaunchSpec};
pub use open_files::raise_open_files;
pub use ready::ReadyError;
pub(crate) use spawn::{SpawnRequest, spawn};
pub use terminate::{StopStep, TERM_THEN_KILL, Termination};
