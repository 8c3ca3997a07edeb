//! The squashfs file system, made by `mksquashfs`.

use std::io::{BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::{getegid, geteuid};

use super::archive::{Stamp, Tree, clamp, write_archive};
use super::directory::attributes_lost;
use super::lost::Lost;
use crate::host_tool::{Answer, HostToolError, HostTools, Tool, ToolCall};

/// What is left out with a word on standard error, and nothing but that.
const LOST: &str = "Unrecognised xattr prefix ";

/// Makes the image `image`, an empty file, of the files in `dir`. Returns what was left out.
pub(super) fn of_directory(
    dir: &Path,
    image: &Path,
    tools: &HostTools,
) -> Result<Vec<String>, HostToolError> {
    let call = ToolCall::new(Tool::MKSQUASHFS).input(dir).image(image);
    Ok(left_out(&with_options(call).run(tools)?))
}

/// The same of a tree; what is left out is told in `lost`. The root directory's own time is lost: it is that of the making.
pub(super) fn of_tree(
    tree: &Tree,
    image: &Path,
    tools: &HostTools,
    lost: &mut Lost,
) -> Result<(), HostToolError> {
    let root = tree.root_attributes();
    let call = || {
        let call = ToolCall::new(Tool::MKSQUASHFS).arg("-").image(image).arg("-tar");
        // Which an archive cannot say.
        with_options(call.arg("-root-mode").arg(format!("{:o}", root.mode)))
    };
    let feed = |stdin: &mut dyn Write| {
        let mut stdin = BufWriter::with_capacity(256 << 10, stdin);
        write_archive(tree, &mut stdin)?;
        stdin.flush()
    };
    // The root directory becomes that of whoever runs it.
    let owner = (root.uid, root.gid);
    let is_ours = owner == (geteuid().as_raw(), getegid().as_raw());
    let mut owner_lost = None;
    let answer = if is_ours {
        call().run_fed(tools, feed)
    } else {
        call().seeming_to_be(root.uid, root.gid).run_fed(tools, feed).or_else(|error| {
            if !error.is_about_namespace() {
                return Err(error);
            }
            owner_lost = Some(format!(
                "the root directory belongs to you in place of {}:{}: this host has no user \
                 namespaces for you",
                root.uid, root.gid
            ));
            call().run_fed(tools, feed)
        })
    }?;
    lost.extend(left_out(&answer));
    lost.extend(owner_lost);
    tree.see_times(|path, stamp| lost.extend(time_lost(path, stamp)));
    if !root.xattrs.is_empty() {
        lost.push("the extended attributes of the root directory are left out");
    }
    Ok(())
}

/// What of a directory cannot be kept: times, and attributes that are not shown to `mksquashfs`.
pub(super) fn survey(dir: &Path, lost: &mut Lost) -> std::io::Result<()> {
    lost.extend(attributes_lost(dir)?);
    let mut open = vec![dir.to_owned()];
    while let Some(parent) = open.pop() {
        for entry in fs_err::read_dir(&parent)? {
            let entry = entry?;
            let found = entry.metadata()?;
            let stamp = Stamp { seconds: found.mtime(), nanoseconds: 0 };
            lost.extend(time_lost(entry.path().as_os_str().as_bytes(), stamp));
            lost.extend(attributes_lost(&entry.path())?);
            if found.is_dir() {
                open.push(entry.path());
            }
        }
    }
    Ok(())
}

/// Squashfs counts seconds in 32 bits, from 1970 on.
fn time_lost(path: &[u8], stamp: Stamp) -> Option<String> {
    let is_kept = i64::from(clamp(stamp.seconds)) == stamp.seconds;
    let path = String::from_utf8_lossy(path);
    (!is_kept).then(|| format!("`{path}` is from before 1970 or after 2106: its time is another"))
}

/// Any file that cannot be read is an error, and the same files always make the same image.
fn with_options(call: ToolCall) -> ToolCall {
    call.args(["-noappend", "-no-progress", "-quiet", "-exit-on-error", "-mkfs-time", "0"])
        // Not a part of the host's memory, whatever that is.
        .args(["-mem", "1G"])
}

fn left_out(answer: &Answer) -> Vec<String> {
    let prefixes = answer.stderr.lines().filter_map(|line| line.strip_prefix(LOST));
    let mut lost: Vec<_> =
        prefixes.map(|name| format!("squashfs has no attribute {name}: it is left out")).collect();
    lost.sort();
    lost.dedup();
    lost
}
