//! What a directory holds, as ext4 is to keep it.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::io::Errno;

use super::archive::Stamp;
use super::ext4::{Fill, Script, UnspeakablePath};
use super::lost::Lost;

const BLOCK: u64 = 4096;
/// The kernel lists no more (`linux/limits.h`).
const XATTR_LIST_MAX: usize = 65_536;
/// Between these, `mkfs.ext4` sets a time by itself, if it is whole.
const PLAIN_SECONDS: std::ops::RangeInclusive<i64> = -(1 << 31)..=(1 << 31) - 1;

/// Looks through a directory: what its files take, and what `mkfs.ext4 -d` does not keep of them
/// (fractions of seconds, times after 2038, and all of the root directory but its attributes).
/// Adds to `lost` what cannot be kept at all.
pub(super) fn survey<'a>(dir: &'a Path, lost: &mut Lost) -> io::Result<Fill<'a>> {
    let mut fill = Fill { dir, script: Script::default(), inodes: 0, bytes: 0 };
    let root = fs_err::metadata(dir)?;
    let speakable = "the root directory has a path that can be said";
    fill.script.set_owner_and_mode(b"/", (root.uid(), root.gid()), root.mode()).expect(speakable);
    fill.script.set_mtime(b"/", mtime(&root)).expect(speakable);
    lost.extend(attributes_lost(dir)?);
    let mut open = vec![dir.to_owned()];
    while let Some(parent) = open.pop() {
        let mut entries = 0;
        for entry in fs_err::read_dir(&parent)? {
            let entry = entry?;
            let found = entry.metadata()?;
            let path = entry.path();
            entries += 1;
            fill.inodes += 1;
            if found.is_dir() {
                open.push(path.clone());
            } else if found.is_file() {
                fill.bytes += found.len().min(found.blocks() * 512).next_multiple_of(BLOCK);
            }
            let attributes = attributes(&path)?;
            if !attributes.is_empty() {
                fill.bytes += BLOCK;
                lost.extend(lost_of(&path, &attributes));
            }
            let stamp = mtime(&found);
            if stamp.nanoseconds == 0 && PLAIN_SECONDS.contains(&stamp.seconds) {
                continue;
            }
            let inside = path.strip_prefix(dir).unwrap_or(&path).as_os_str().as_bytes();
            if let Err(UnspeakablePath) = fill.script.set_mtime(&[b"/", inside].concat(), stamp) {
                lost.push(format!(
                    "`{}` keeps no fraction of a second in its time: its name has a line end",
                    path.display()
                ));
            }
        }
        fill.bytes += BLOCK * (1 + entries / 32);
    }
    Ok(fill)
}

fn mtime(found: &std::fs::Metadata) -> Stamp {
    let nanoseconds = u32::try_from(found.mtime_nsec()).unwrap_or_default();
    Stamp { seconds: found.mtime(), nanoseconds }
}

/// What the programs that make file systems cannot read of a file: the kernel shows `trusted.*` to the
/// administrator of the whole host only, and they run with less.
pub(super) fn attributes_lost(path: &Path) -> io::Result<Vec<String>> {
    Ok(lost_of(path, &attributes(path)?))
}

fn lost_of(path: &Path, attributes: &[String]) -> Vec<String> {
    let lost = attributes.iter().filter(|name| name.starts_with("trusted."));
    let path = path.display();
    lost.map(|name| format!("`{path}` loses its attribute {name}: an archive of it keeps it"))
        .collect()
}

/// The names of a file's attributes.
fn attributes(path: &Path) -> io::Result<Vec<String>> {
    let mut names = [0; XATTR_LIST_MAX];
    let length = match rustix::fs::llistxattr(path, &mut names) {
        // A file system without attributes.
        Err(Errno::OPNOTSUPP) => 0,
        length => length?,
    };
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.map(|name| String::from_utf8_lossy(name).into_owned()).collect())
}
