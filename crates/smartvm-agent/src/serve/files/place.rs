//! Places in the guest's tree.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, ResolveFlags, Uid, mkdirat, openat2};
use rustix::io::Errno;
use smartvm_protocol::{Refusal, RefusalCode};

use crate::serve::refused::{failed, refused, shown};

/// Links count as within the root, and none leads through a process's descriptors.
const WITHIN: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

/// A name in a directory.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) directory: OwnedFd,
    pub(crate) name: CString,
}

/// The guest's root.
pub(crate) fn root() -> Result<OwnedFd, Refusal> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, "/", flags, Mode::empty())
        .map_err(|error| failed(RefusalCode::Failed, "open the root", error))
}

/// Opens what is at a path within a directory as if that were the root.
pub(crate) fn open_within(root: impl AsFd, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let path = if path.is_empty() { b"." } else { path };
    openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), WITHIN)
}

/// The directory at a path below another one, made as far as it is missing.
pub(crate) fn ensure_directories(root: impl AsFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    match open_within(&root, path, flags) {
        Err(Errno::NOENT) => {}
        other => return other,
    }
    let mut above = Vec::new();
    for part in parts(path) {
        above.extend_from_slice(part);
        match open_within(&root, &above, flags) {
            Err(Errno::NOENT) => {
                let parent = &above[..above.len() - part.len()];
                let parent = open_within(&root, parent, flags)?;
                match mkdirat(&parent, part, Mode::from_raw_mode(0o755)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(_) => {}
            Err(error) => return Err(error),
        }
        above.push(b'/');
    }
    open_within(&root, path, flags)
}

/// The parts of a path that say anything.
pub(crate) fn parts(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".")
}

/// A path without its last name, and that name; none for one without a name, such as `/` and `..`.
pub(crate) fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let trimmed = path.len() - path.iter().rev().take_while(|byte| **byte == b'/').count();
    let path = &path[..trimmed];
    let at = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    let (parent, name) = path.split_at(at);
    (!name.is_empty() && name != b"." && name != b"..").then_some((parent, name))
}

impl Place {
    /// The place that an absolute path of the guest names.
    pub(crate) fn find(path: &[u8], make_parents: bool) -> Result<Self, Refusal> {
        let wrong =
            |why| refused(RefusalCode::Protocol, format_args!("use {}: {why}", shown(path)));
        if !path.starts_with(b"/") {
            return Err(wrong("it is not absolute"));
        }
        let (parent, name) = split(path).ok_or_else(|| wrong("it has no name at its end"))?;
        let name = CString::new(name).map_err(|_| wrong("it has a zero byte"))?;
        let root = root()?;
        let directory = if make_parents {
            ensure_directories(&root, parent)
        } else {
            open_within(&root, parent, OFlags::RDONLY | OFlags::DIRECTORY)
        };
        let directory = directory.map_err(|error| not_found(shown(parent), error))?;
        Ok(Self { directory, name })
    }
}

/// What cannot be opened.
pub(crate) fn not_found(path: String, error: Errno) -> Refusal {
    let code = match error {
        Errno::NOENT | Errno::NOTDIR => RefusalCode::NoFile,
        Errno::ISDIR | Errno::NXIO => RefusalCode::WrongKind,
        _ => RefusalCode::Failed,
    };
    failed(code, format_args!("open {path}"), error)
}

/// Gives what is at a descriptor its owner, its mode after that, as an owner takes it away.
pub(crate) fn own(
    file: impl AsFd,
    uid: Option<u32>,
    gid: Option<u32>,
    mode: u32,
) -> Result<(), Errno> {
    let owner = |number: u32| (number != u32::MAX).then_some(number).ok_or(Errno::INVAL);
    let uid = uid.map(owner).transpose()?.map(Uid::from_raw);
    let gid = gid.map(owner).transpose()?.map(Gid::from_raw);
    if uid.is_some() || gid.is_some() {
        rustix::fs::fchown(&file, uid, gid)?;
    }
    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode & 0o7777))
}

/// Removes what is there, if it is no directory.
pub(crate) fn remove(directory: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_split_at_its_last_name() {
        assert_eq!(split(b"/a/b"), Some((&b"/a/"[..], &b"b"[..])));
        assert_eq!(split(b"/a/b//"), Some((&b"/a/"[..], &b"b"[..])));
        assert_eq!(split(b"b"), Some((&b""[..], &b"b"[..])));
        for path in [&b"/"[..], b"", b"..", b"/a/..", b"/a/."] {
            assert_eq!(split(path), None);
        }
    }

    #[test]
    fn directories_are_made_within_and_links_do_not_lead_out() {
        let dir = tempfile::tempdir().unwrap();
        let root = rustix::fs::open(dir.path(), OFlags::PATH, Mode::empty()).unwrap();
        ensure_directories(&root, b"../../above").unwrap();
        assert!(dir.path().join("above").is_dir(), "the root is its own parent");
        ensure_directories(&root, b"a/b/../c").unwrap();
        assert!(dir.path().join("a/c").is_dir());
        ensure_directories(&root, b"a/b/c").unwrap();
        assert!(dir.path().join("a/b/c").is_dir());
        std::os::unix::fs::symlink("/", dir.path().join("out")).unwrap();
        ensure_directories(&root, b"out/etc-of-nobody/x").unwrap();
        assert!(dir.path().join("etc-of-nobody/x").is_dir());
        std::os::unix::fs::symlink("../../..", dir.path().join("a/up")).unwrap();
        ensure_directories(&root, b"a/up/top").unwrap();
        assert!(dir.path().join("top").is_dir());
    }
}
