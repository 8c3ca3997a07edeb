//! Firecracker under its jailer: a user, a root directory, a PID namespace and limits of its own.
//!
//! * `binary` finds the jailer's program, `version` asks it which it is,
//! * `spec` says what a jail is like, `argv` says so to the jailer,
//! * `guard` ends what runs in a jail whose owner has died,
//! * `stderr_fifo` is how Firecracker's log comes out of a jail.
//!
//! The jail's directory is the caller's: made before, filled with what the VM is to see, removed
//! afterwards.

mod argv;
mod binary;
mod guard;
mod spec;
mod stderr_fifo;
mod version;

pub(crate) use argv::arguments;
pub use binary::{JailerBinary, OpenJailerError};
pub(crate) use guard::{GUARD, GUARD_IDENTITY};
pub use guard::{end_jail, jail_lives};
pub use spec::{BindMount, JailSpec, ResourceLimits};
pub(crate) use stderr_fifo::{STDERR_FIFO, make_stderr_fifo};
pub use version::ProbeJailerError;
