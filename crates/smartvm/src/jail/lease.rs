//! Who is which user now.
//!
//! One directory for the whole host, as user ids are: two managers with different directories must
//! not take the same. A file in it, named by the id, names the jail of that user. The id is free
//! when there is no such jail any more: so a jail that its owner left behind keeps its id until
//! it was swept, and a file that was left behind means nothing.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{Uid, getpriority_user};
use smartvm_dir::{HeldLock, PrivateDir};

use super::uid_range::UidRange;

/// Where it is. Forgotten at a restart of the host, when no VM runs.
pub(super) const LEASES: &str = "/run/smartvm/uids";

/// The lock that is held while an id is taken, and until its jail exists.
const LOCK: &str = ".lock";
/// The id that was taken last, so that none is used again soon.
const LAST: &str = ".last";

/// All leases, locked against other processes for as long as the value lives.
#[derive(Debug)]
pub(super) struct Leases {
    dir: PrivateDir,
    _lock: HeldLock,
}

impl Leases {
    /// Waits for the lock, which others hold for some microseconds.
    pub(super) fn lock(dir: PrivateDir) -> io::Result<Self> {
        let lock = dir.lock(LOCK)?;
        Ok(Self { dir, _lock: lock })
    }

    /// A free id of `range`, none when there is none.
    pub(super) fn find(&self, range: UidRange) -> io::Result<Option<u32>> {
        let last = self.dir.read_text(LAST).ok().flatten();
        let last = last.and_then(|text| text.trim().parse().ok());
        let after = last.filter(|last| range.contains(*last)).map_or(range.first, |last: u32| {
            if last == range.last { range.first } else { last + 1 }
        });
        for id in (after..=range.last).chain(range.first..after) {
            if self.holder(id)?.is_none() && !is_somebody(id) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// The jail of the user with this id.
    pub(super) fn holder(&self, id: u32) -> io::Result<Option<PathBuf>> {
        let jail = self.dir.read_text(id.to_string())?.map(PathBuf::from);
        // Not only when it surely exists: when in doubt, the id is in use.
        Ok(jail.filter(|jail| !matches!(jail.try_exists(), Ok(false))))
    }

    /// Gives the id to `jail`, which must be made while the lock is held.
    pub(super) fn take(&self, id: u32, jail: &Path) -> io::Result<()> {
        let jail = jail.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
        self.dir.write(id.to_string(), jail.as_bytes())?;
        // Whole or not at all: without it, ids would be used again that were just given back.
        self.dir.write(LAST, id.to_string().as_bytes())
    }

    /// Forgets that `jail` has the id.
    pub(super) fn release(&self, id: u32, jail: &Path) -> io::Result<()> {
        match self.dir.read_text(id.to_string())? {
            Some(holder) if Path::new(&holder) == jail => self.dir.remove_file(id.to_string()),
            _ => Ok(()),
        }
    }
}

/// Whether a process that we see is the user with this id: a lease can be lost, or be kept where we do not look, as in
/// another mount namespace. One call of the kernel, which says so of the owners of the priorities that it tells.
fn is_somebody(id: u32) -> bool {
    getpriority_user(Uid::from_raw(id)) != Err(Errno::SRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: UidRange = UidRange { first: 10, last: 12 };

    fn take(dir: &Path, jail: &Path) -> Option<u32> {
        let leases = Leases::lock(PrivateDir::ensure(dir).unwrap()).unwrap();
        let id = leases.find(RANGE).unwrap()?;
        leases.take(id, jail).unwrap();
        fs_err::create_dir(jail).unwrap();
        Some(id)
    }

    #[test]
    fn no_id_is_used_twice_and_none_again_soon() {
        let dir = tempfile::tempdir().unwrap();
        let jail = |name: &str| dir.path().join(name);
        assert_eq!(take(dir.path(), &jail("a")), Some(10));
        fs_err::remove_dir(jail("a")).unwrap();
        assert_eq!(take(dir.path(), &jail("b")), Some(11));
        assert_eq!(take(dir.path(), &jail("c")), Some(12));
        assert_eq!(take(dir.path(), &jail("d")), Some(10));
        assert_eq!(take(dir.path(), &jail("e")), None, "all three are in use");
        fs_err::remove_dir(jail("b")).unwrap();
        assert_eq!(take(dir.path(), &jail("e")), Some(11), "left behind by a jail that is gone");
    }

    #[test]
    fn a_lease_is_released_by_its_jail_only() {
        let dir = tempfile::tempdir().unwrap();
        let jail = dir.path().join("a");
        let id = take(dir.path(), &jail).unwrap();
        let leases = Leases::lock(PrivateDir::ensure(dir.path()).unwrap()).unwrap();
        leases.release(id, &dir.path().join("b")).unwrap();
        assert_eq!(leases.holder(id).unwrap(), Some(jail.clone()));
        leases.release(id, &jail).unwrap();
        leases.release(id, &jail).unwrap();
        assert_eq!(leases.holder(id).unwrap(), None);
    }
}
