//! Source files stay short enough to be read in one go.

use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::{say, workspace};

/// From here on a file is listed.
const LONG: usize = 400;
/// From here on it fails the check.
const TOO_LONG: usize = 800;

pub(super) fn check() -> anyhow::Result<()> {
    let mut too_long = 0;
    for (lines, file) in long_files(workspace::root())? {
        let file = file.strip_prefix(workspace::root()).unwrap_or(&file).display().to_string();
        say::step(format!("{lines} lines: {file}"));
        too_long += usize::from(lines > TOO_LONG);
    }
    if too_long > 0 {
        bail!("{too_long} files have more than {TOO_LONG} lines: split them by what they do");
    }
    Ok(())
}

/// The Rust files below a directory that are longer than they should be, the longest first.
fn long_files(root: &Path) -> anyhow::Result<Vec<(usize, PathBuf)>> {
    let mut long = Vec::new();
    let mut dirs = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs_err::read_dir(&dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                if name != "target" && !name.as_encoded_bytes().starts_with(b".") {
                    dirs.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let lines = fs_err::read_to_string(&path)?.lines().count();
                if lines > LONG {
                    long.push((lines, path));
                }
            }
        }
    }
    long.sort_by(|a, b| b.cmp(a));
    Ok(long)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_files_are_found_outside_target() {
        let dir = tempfile::tempdir().unwrap();
        for sub in ["src/deep", "target", ".git"] {
            fs_err::create_dir_all(dir.path().join(sub)).unwrap();
            fs_err::write(dir.path().join(sub).join("long.rs"), "\n".repeat(LONG + 1)).unwrap();
            fs_err::write(dir.path().join(sub).join("fine.rs"), "\n".repeat(LONG)).unwrap();
        }
        let found = long_files(dir.path()).unwrap();
        assert_eq!(found, [(LONG + 1, dir.path().join("src/deep/long.rs"))]);
    }
}
