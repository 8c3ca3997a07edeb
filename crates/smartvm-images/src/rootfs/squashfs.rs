//! The squashfs file system, made by `mksquashfs`.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::archive::{Stamp, Tree, clamp, write_archive};
use crate::host_tool::{Answer, HostToolError, HostTools, Tool, ToolCall};

/// What is left out with a word on standard error, and nothing but that.
const LOST: &str = "Unrecognised xattr prefix ";

/// Makes the image `image`, a new file, of the files in `dir`. Returns what was left out.
pub(super) fn of_directory(
    dir: &Path,
    image: &Path,
    tools: &HostTools,
) -> Result<Vec<String>, HostToolError> {
    let call = ToolCall::new(Tool::MKSQUASHFS).args([dir, image]);
    Ok(lost(&with_options(call).run(tools)?))
}

/// The same of a tree.
pub(super) fn of_tree(
    tree: &Tree,
    image: &Path,
    tools: &HostTools,
) -> Result<Vec<String>, HostToolError> {
    let root = tree.root_attributes();
    let call = ToolCall::new(Tool::MKSQUASHFS)
        .arg("-")
        .arg(image)
        .arg("-tar")
        // Which an archive cannot say.
        .args(["-root-mode".to_owned(), format!("{:o}", root.mode)])
        .args(["-root-uid".to_owned(), root.uid.to_string()])
        .args(["-root-gid".to_owned(), root.gid.to_string()])
        .args(["-root-time".to_owned(), clamp(root.mtime.seconds).to_string()]);
    let answer = with_options(call).run_fed(tools, |stdin| {
        let mut stdin = std::io::BufWriter::with_capacity(256 << 10, stdin);
        write_archive(tree, &mut stdin)?;
        std::io::Write::flush(&mut stdin)
    })?;
    let mut lost = lost(&answer);
    lost.extend(tree.stamps().filter_map(|(path, stamp)| time_lost(&path, stamp)));
    if !root.xattrs.is_empty() {
        lost.push("the extended attributes of the root directory are left out".to_owned());
    }
    Ok(lost)
}

/// What of the times in a directory squashfs cannot keep.
pub(super) fn times_lost(dir: &Path) -> std::io::Result<Vec<String>> {
    let mut lost = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(parent) = open.pop() {
        for entry in fs_err::read_dir(&parent)? {
            let entry = entry?;
            let found = entry.metadata()?;
            let stamp = Stamp { seconds: found.mtime(), nanoseconds: 0 };
            lost.extend(time_lost(&entry.path().to_string_lossy(), stamp));
            if found.is_dir() {
                open.push(entry.path());
            }
        }
    }
    Ok(lost)
}

/// Squashfs counts seconds in 32 bits, from 1970 on.
fn time_lost(path: &str, stamp: Stamp) -> Option<String> {
    let is_kept = i64::from(clamp(stamp.seconds)) == stamp.seconds;
    (!is_kept).then(|| format!("`{path}` is from before 1970 or after 2106: its time is another"))
}

/// Any file that cannot be read is an error, and the same files always make the same image.
fn with_options(call: ToolCall) -> ToolCall {
    call.args(["-noappend", "-no-progress", "-quiet", "-exit-on-error", "-mkfs-time", "0"])
}

fn lost(answer: &Answer) -> Vec<String> {
    let prefixes = answer.stderr.lines().filter_map(|line| line.strip_prefix(LOST));
    let mut lost: Vec<_> =
        prefixes.map(|name| format!("squashfs has no attribute {name}: it is left out")).collect();
    lost.sort();
    lost.dedup();
    lost
}
