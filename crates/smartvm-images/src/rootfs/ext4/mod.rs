//! The ext4 file system, made and mended by e2fsprogs.

mod fill;
mod make;
mod script;
mod superblock;

pub(super) use fill::{Fill, FillError};
pub(super) use make::{check, make_empty, repair};
pub(super) use script::{Script, UnspeakablePath};
pub use superblock::{Ext4Superblock, ParseSuperblockError};
