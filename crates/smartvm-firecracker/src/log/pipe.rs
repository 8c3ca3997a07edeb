//! Where Firecracker writes its log.

use crate::stream::{BoundedFile, Fifo};

/// How the log of a Firecracker reaches us.
#[derive(Debug)]
pub struct LogPipe {
    /// The pipe that Firecracker writes to.
    pub fifo: Fifo,
    /// Whether each line carries its place in Firecracker's source.
    pub show_origin: bool,
    /// Only lines of Firecracker's modules that begin with this.
    pub module: Option<String>,
    /// A file that every line is copied to.
    pub file: Option<LogFile>,
}

/// A copy of the log in a file.
#[derive(Debug)]
pub struct LogFile {
    /// The file.
    pub file: BoundedFile,
    /// Whether its lines carry their level.
    pub show_level: bool,
}
