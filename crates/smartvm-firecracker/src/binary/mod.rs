//! The Firecracker program on disk: where it is, and whether it can be what it should be.

mod elf;
mod find;
mod open;
mod probe;
mod snapshot_format;

pub(crate) use find::is_executable_file;
pub use open::{FirecrackerBinary, OpenBinaryError};
pub use probe::ProbeVersionError;
pub(crate) use probe::{PROBE_DEADLINE, first_line, output_of, read_version};
pub use snapshot_format::{ParseFormatError, SnapshotFormat};
