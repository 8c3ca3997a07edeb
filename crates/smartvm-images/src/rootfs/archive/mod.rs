//! Root file systems that come as tar archives.
//!
//! Nothing of an archive is ever unpacked by its names: it is read into a tree in memory, its files'
//! contents go into numbered files, and only what is a tree by then is laid out. So no name leads
//! elsewhere, and owners, device nodes and attributes need no privileges.

mod examine;
mod extension;
mod header;
mod lay_out;
mod node;
mod read;
mod stream;
mod tree;
mod unpack;
mod xattrs;

pub use examine::{ExamineArchiveError, RootfsArchive};
pub(super) use header::looks_like_header;
pub(super) use lay_out::{LayOutError, lay_out};
#[cfg(test)]
pub(super) use node::DeviceNumber;
pub(super) use node::{DeviceKind, Stamp};
pub(super) use stream::{clamp, write_archive};
pub(super) use tree::Tree;
pub(super) use unpack::{UnpackError, unpack};

#[cfg(test)]
mod tests;
