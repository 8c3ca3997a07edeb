//! The guest's serial console: bounded memory, many readers, one writer at a time.
//!
//! Firecracker's standard output carries the console; a `pump` empties it into a `ring` without
//! ever waiting for a reader, so that neither a silent reader can stop the guest nor a noisy guest
//! fill memory. Firecracker's log takes the same way into a ring of its own.

mod output;
mod reader;
mod ring;
mod terminal;

pub(crate) use output::{Output, OutputWriter, pump};
pub use reader::{ConsoleChunk, ConsoleReader};
pub use terminal::Console;
