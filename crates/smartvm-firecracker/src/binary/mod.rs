//! The Firecracker program on disk: where it is, and whether it can be what it should be.

mod elf;
mod find;
mod open;
mod probe;
mod snapshot_format;

pub use open::{FirecrackerBinary, OpenBinaryError};
pub use probe::ProbeVersionError;
pub use snapshot_format::{ParseFormatError, SnapshotFormat};
