//! What a file system keeps of a file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::xattrs::Xattrs;

/// A moment, since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::rootfs) struct Stamp {
    pub(in crate::rootfs) seconds: i64,
    pub(in crate::rootfs) nanoseconds: u32,
}

/// Which device a node stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rootfs) struct DeviceNumber {
    pub(in crate::rootfs) major: u32,
    pub(in crate::rootfs) minor: u32,
}

/// A node without content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rootfs) enum DeviceKind {
    Pipe,
    Character(DeviceNumber),
    Block(DeviceNumber),
}

/// What every inode has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::rootfs) struct Attributes {
    /// The permissions, with setuid, setgid and the sticky bit.
    pub(in crate::rootfs) mode: u32,
    pub(in crate::rootfs) uid: u32,
    pub(in crate::rootfs) gid: u32,
    pub(in crate::rootfs) mtime: Stamp,
    pub(in crate::rootfs) xattrs: Xattrs,
}

/// An inode's number in its tree.
pub(super) type InodeId = usize;

/// What an inode holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    Directory(BTreeMap<Vec<u8>, InodeId>),
    /// The size, and the file that has the bytes.
    File(u64, PathBuf),
    Symlink(Vec<u8>),
    Device(DeviceKind),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inode {
    pub(super) attributes: Attributes,
    pub(super) content: Content,
}

impl Content {
    /// The type's bits of a mode.
    pub(super) fn type_bits(&self) -> u32 {
        match self {
            Self::Directory(_) => 0o040_000,
            Self::File(..) => 0o100_000,
            Self::Symlink(_) => 0o120_000,
            Self::Device(DeviceKind::Pipe) => 0o010_000,
            Self::Device(DeviceKind::Character(_)) => 0o020_000,
            Self::Device(DeviceKind::Block(_)) => 0o060_000,
        }
    }
}
