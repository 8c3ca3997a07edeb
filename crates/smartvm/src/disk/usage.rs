//! What is on the disk.

use std::collections::HashSet;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How many bytes the files below `dirs` take, holes not counted, and a file with several names once. What
/// is below a directory that `is_left_out` does not count.
///
/// Links are not followed. What vanishes meanwhile does not count.
pub(super) fn bytes_below(
    dirs: &[PathBuf],
    is_left_out: impl Fn(&Path) -> bool,
) -> io::Result<u64> {
    let mut seen = HashSet::new();
    let mut waiting = dirs.to_vec();
    let mut bytes = 0_u64;
    while let Some(dir) = waiting.pop() {
        let entries = match fs_err::read_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let found = match entry.metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                found => found?,
            };
            if found.is_dir() {
                if !is_left_out(&entry.path()) {
                    waiting.push(entry.path());
                }
            } else if found.nlink() == 1 || seen.insert((found.dev(), found.ino())) {
                bytes = bytes.saturating_add(found.blocks().saturating_mul(512));
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_file_counts_once_without_its_holes_and_links_lead_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let of = |but: &str| bytes_below(&[dir.path().to_owned()], |it| it == path(but)).unwrap();
        assert_eq!(of("none"), 0);
        fs_err::create_dir(path("images")).unwrap();
        fs_err::write(path("images/a"), vec![1; 2 << 20]).unwrap();
        fs_err::hard_link(path("images/a"), path("images/b")).unwrap();
        fs_err::File::create(path("sparse")).unwrap().set_len(1 << 30).unwrap();
        std::os::unix::fs::symlink("/", path("link")).unwrap();
        let used = of("none");
        assert!((2 * MIB..3 * MIB).contains(&used), "{used}");
        assert!(of("images") < MIB);
    }
}
