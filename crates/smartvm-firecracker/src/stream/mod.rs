//! What Firecracker writes, on its way to where it is kept: every step of it bounded.
//!
//! * `fifo` is the named pipe that Firecracker writes to and we read,
//! * `lines` cuts bytes into lines no longer than a limit,
//! * `bounded_file` is the file that a person asked for, rotated before it grows too large,
//! * `pipe_copy` takes it from the one to the other as it is,
//! * `sink` writes it off the tasks that must go on.

mod bounded_file;
mod fifo;
mod lines;
mod pipe_copy;
mod sink;

pub use bounded_file::{BoundedFile, OpenBoundedFileError};
pub use fifo::Fifo;
pub(crate) use fifo::{CAPACITY as FIFO_CAPACITY, FifoReader};
pub(crate) use lines::Lines;
pub use pipe_copy::PipeCopy;
pub(crate) use sink::FileSink;
