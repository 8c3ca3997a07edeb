//! Making, checking and mending whole file systems.

use std::path::Path;

use crate::host_tool::{Answer, HostToolError, HostTools, Tool, ToolCall};

/// `mkfs.ext4` on an empty file that has its size, or with `-d` and what else is given.
///
/// Nothing is left for the guest's kernel to do in the background: it would write to every private
/// copy. The file stays sparse, as what would be zeroed is a hole already.
fn mkfs() -> ToolCall {
    ToolCall::new(Tool::MKFS_EXT4)
        .args(["-q", "-F", "-b", "4096", "-m", "0"])
        .args(["-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard,root_owner=0:0"])
}

/// Makes an empty file system that fills the file `image`.
pub(in crate::rootfs) fn make_empty(image: &Path, tools: &HostTools) -> Result<(), HostToolError> {
    mkfs().image(image).run(tools).map(drop)
}

/// Makes a file system with at least `inodes` inodes that fills the file `image`, with the files of
/// `dir`.
pub(super) fn make_filled(
    image: &Path,
    dir: &Path,
    inodes: u64,
    tools: &HostTools,
) -> Result<Answer, HostToolError> {
    mkfs().arg("-N").arg(inodes.to_string()).arg("-d").input(dir).image(image).run(tools)
}

/// Whether a file system is whole; changes nothing.
pub(in crate::rootfs) fn check(image: &Path, tools: &HostTools) -> Result<(), HostToolError> {
    ToolCall::new(Tool::E2FSCK).arg("-fn").image(image).run(tools).map(drop)
}

/// Replays the journal of a file system that was not unmounted, and mends what can be mended
/// without a question.
pub(in crate::rootfs) fn repair(image: &Path, tools: &HostTools) -> Result<(), HostToolError> {
    ToolCall::new(Tool::E2FSCK).arg("-fp").image(image).accepting(&[0, 1]).run(tools).map(drop)
}
