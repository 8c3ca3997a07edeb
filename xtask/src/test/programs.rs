//! The programs of the host that tests run, which are installed when they are missing.

use crate::apt;

/// What makes root file systems: the library runs it.
pub(super) fn ensure_for_library() -> anyhow::Result<()> {
    for program in ["mkfs.ext4", "debugfs", "e2fsck", "resize2fs"] {
        apt::ensure_program(program, "e2fsprogs", "it makes and mends root file systems")?;
    }
    apt::ensure_program("mksquashfs", "squashfs-tools", "it makes read-only root file systems")
}

/// What tests make archives, and file systems of their own, with.
pub(crate) fn ensure_for_tests() -> anyhow::Result<()> {
    ensure_for_library()?;
    for (program, package) in [
        ("mkfs.xfs", "xfsprogs"),
        ("mkfs.btrfs", "btrfs-progs"),
        ("mount", "mount"),
        ("zstd", "zstd"),
        ("xz", "xz-utils"),
    ] {
        apt::ensure_program(program, package, "tests of drives and root file systems use it")?;
    }
    Ok(())
}
