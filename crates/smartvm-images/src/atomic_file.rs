//! Files that are replaced whole, and directories whose entries are to last.

use std::io::{self, Write};
use std::path::Path;

/// Replaces `path` by a file with these contents, which only the owner can write. A reader sees the
/// old contents or the new ones. They may be lost in a crash of the host, in favour of the old ones.
pub(crate) fn write_atomically(path: &Path, contents: &[u8]) -> io::Result<()> {
    replace(path, contents, |_| Ok(()))
}

/// The same for what is relied on later: once it returns, a crash of the host loses nothing of it.
pub(crate) fn write_durably(path: &Path, contents: &[u8]) -> io::Result<()> {
    replace(path, contents, |file| file.sync_all())?;
    sync_directory(path.parent().unwrap_or_else(|| Path::new(".")))
}

fn replace(
    path: &Path,
    contents: &[u8],
    before_its_name: impl FnOnce(&std::fs::File) -> io::Result<()>,
) -> io::Result<()> {
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix("~new-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(dir)?;
    file.write_all(contents)?;
    before_its_name(file.as_file())?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Makes the names in a directory last.
pub(crate) fn sync_directory(dir: &Path) -> io::Result<()> {
    fs_err::File::open(dir)?.sync_all()
}
