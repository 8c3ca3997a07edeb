//! Whose a control group is, written on it.
//!
//! A record names its VM's group, and can be lost: removed by somebody, or set aside as damaged. So a group says
//! itself which jail it is of, in an extended attribute that only root of this host can set. Directories of jails are
//! told apart by device and inode: in another mount namespace another one can have the same path.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{XattrFlags, getxattr, setxattr};
use rustix::io::Errno;

use super::tree::Tree;
use super::{Cgroup, PARENT};

const ATTRIBUTE: &str = "trusted.smartvm.jail";

/// More than any mark has.
const MAX_BYTES: usize = 512;

/// The jail of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::jail) struct JailMark {
    device: u64,
    inode: u64,
    /// Its directory's name, and the one above.
    program: String,
    name: String,
}

impl JailMark {
    /// Of the jail `name` of `program` in the directory of jails at `base`.
    pub(in crate::jail) fn of(base: &Path, program: &Path, name: &str) -> io::Result<Self> {
        let found = fs_err::metadata(base)?;
        let program = program.to_str().ok_or(io::ErrorKind::InvalidFilename)?.to_owned();
        Ok(Self { device: found.dev(), inode: found.ino(), program, name: name.to_owned() })
    }

    pub(in crate::jail) fn program(&self) -> &str {
        &self.program
    }

    pub(in crate::jail) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is one of the directory of jails at `base`.
    pub(in crate::jail) fn is_in(&self, base: &Path) -> io::Result<bool> {
        let found = fs_err::metadata(base)?;
        Ok((found.dev(), found.ino()) == (self.device, self.inode))
    }

    fn text(&self) -> String {
        format!("{}:{} {}/{}", self.device, self.inode, self.program, self.name)
    }

    fn parse(text: &str) -> Option<Self> {
        let (device, rest) = text.split_once(':')?;
        let (inode, rest) = rest.split_once(' ')?;
        let (program, name) = rest.split_once('/')?;
        let is_name = |text: &&str| !["", ".", ".."].contains(text) && !text.contains('/');
        Some(Self {
            device: device.parse().ok()?,
            inode: inode.parse().ok()?,
            program: Some(program).filter(is_name)?.to_owned(),
            name: Some(name).filter(is_name)?.to_owned(),
        })
    }
}

impl Cgroup {
    /// Says whose it is.
    pub(in crate::jail) fn mark(&self, mark: &JailMark) -> io::Result<()> {
        Ok(setxattr(&self.dir, ATTRIBUTE, mark.text().as_bytes(), XattrFlags::empty())?)
    }

    /// Whose it is, if it says so.
    fn marked(&self) -> io::Result<Option<JailMark>> {
        let mut buffer = [0; MAX_BYTES];
        match getxattr(&self.dir, ATTRIBUTE, &mut buffer) {
            // Not one of ours; or removed meanwhile.
            Err(Errno::NODATA | Errno::NOENT | Errno::RANGE | Errno::OPNOTSUPP) => Ok(None),
            Err(errno) => Err(errno.into()),
            Ok(length) => Ok(str::from_utf8(&buffer[..length]).ok().and_then(JailMark::parse)),
        }
    }
}

/// The groups of VMs that say whose they are; none where there are no control groups of version 2.
pub(in crate::jail) fn marked_groups() -> io::Result<Vec<(Cgroup, JailMark)>> {
    let Some(tree) = Tree::find() else { return Ok(Vec::new()) };
    let entries = match fs_err::read_dir(tree.path().join(PARENT)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut groups = Vec::new();
    for entry in entries {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            continue;
        }
        let group = Cgroup::at(&entry.path());
        // A jail and its group have one name.
        if let Some(mark) = group.marked()?.filter(|mark| entry.file_name() == *mark.name()) {
            groups.push((group, mark));
        }
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written_and_leads_nowhere_else() {
        let base = tempfile::tempdir().unwrap();
        let mark = JailMark::of(base.path(), Path::new("firecracker"), "web-70000").unwrap();
        assert_eq!(JailMark::parse(&mark.text()), Some(mark.clone()));
        assert!(mark.is_in(base.path()).unwrap());
        let other = tempfile::tempdir().unwrap();
        assert!(!mark.is_in(other.path()).unwrap());
        for text in ["", "1:2", "1:2 a", "1:2 /b", "1:2 ../b-1", "1:2 a/..", "1:2 a/b/c", "x:2 a/b"]
        {
            assert_eq!(JailMark::parse(text), None, "{text}");
        }
    }
}
