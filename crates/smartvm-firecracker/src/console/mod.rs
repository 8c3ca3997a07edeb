//! The guest's serial console: bounded memory, many readers, one writer at a time.
//!
//! Firecracker's standard output carries the console; a `pump` empties it into a `ring` without
//! ever waiting for a reader, so that neither a silent reader can stop the guest nor a noisy guest
//! fill memory. A `recording` copies it into a bounded file.

mod output;
mod reader;
mod recording;
mod ring;
mod terminal;

pub(crate) use output::{Output, OutputWriter, pump};
pub use reader::{ConsoleChunk, ConsoleReader};
pub use recording::ConsoleRecording;
pub use terminal::Console;
