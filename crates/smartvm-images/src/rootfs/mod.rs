//! Root file systems: made of a directory, an archive or nothing, copied and resized.

mod archive;
mod blank;
mod build;
mod clone;
mod directory;
mod ext4;
mod image_kind;
mod kept;
mod lost;
mod resize;
mod size;
mod source;
mod squashfs;

pub use archive::{ExamineArchiveError, RootfsArchive};
pub use blank::{CreateRootfsError, create_blank_rootfs};
pub(crate) use build::build_image;
pub use build::{BuildRootfs, BuildRootfsError, BuiltRootfs, build_rootfs};
pub use clone::{CloneRootfsError, clone_rootfs};
pub use ext4::{Ext4Superblock, ParseSuperblockError};
pub use kept::{KeptRootfs, RemoveRootfsError, list_rootfs, remove_rootfs};
pub use resize::{ResizeRootfsError, ResizeTo, ResizedRootfs, resize_rootfs};
