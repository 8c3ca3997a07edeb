//! Putting back what somebody else has removed of a living VM's directory.
//!
//! It says to others that the VM lives, and what belongs to it: without it the id could be taken again, and what is left
//! after a kill would not be found. Firecracker itself has open what it needs.

use std::io;

use smartvm_dir::{HeldLock, PrivateDir};

use super::record::{self, VmRecord};
use super::runtime_dir::{LOCK, RuntimeDir};
use super::vm_dir::{SOCKET, VmDir, link_socket};

/// What is needed to look after a VM's directory, apart from it.
#[derive(Debug)]
pub(crate) struct Keeper {
    home: RuntimeDir,
    dir: PrivateDir,
    record: VmRecord,
}

/// What was put back.
#[derive(Debug)]
#[must_use = "it has the lock that says that the VM lives"]
pub(crate) struct PutBack {
    /// The directory, where all of it was gone.
    pub(super) dir: Option<PrivateDir>,
    pub(super) lock: Option<HeldLock>,
}

impl PutBack {
    /// Whether the whole directory was gone.
    pub(crate) const fn is_whole(&self) -> bool {
        self.dir.is_some()
    }
}

impl VmDir {
    pub(crate) fn keeper(&self) -> Keeper {
        Keeper { home: self.home.clone(), dir: self.dir.clone(), record: self.record.clone() }
    }

    /// Takes what was put back.
    pub(crate) fn take_back(&mut self, put_back: PutBack) {
        if let Some(dir) = put_back.dir {
            self.dir = dir;
        }
        if let Some(lock) = put_back.lock {
            self.lock = lock;
        }
    }
}

impl Keeper {
    /// Makes again what is missing of the directory; none when nothing is. Blocks.
    ///
    /// # Errors
    /// When something else is in its place, or the system refuses.
    pub(crate) fn put_right(self) -> io::Result<Option<PutBack>> {
        let _whole = self.home.lock()?;
        if !self.dir.is_in_place()? {
            return self.make_again().map(Some);
        }
        let lacks = |name: &str| self.dir.stat(name).map(|found| found.is_none());
        let (lock, record) = (lacks(LOCK)?, lacks(record::FILE)?);
        let socket = self.record.jail.is_some() && lacks(SOCKET)?;
        if record {
            self.record.write(&self.dir)?;
        }
        if socket {
            link_socket(&self.dir, &self.record)?;
        }
        let lock = lock.then(|| self.dir.create_lock(LOCK)).transpose()?;
        let found = lock.is_some() || record || socket;
        Ok(found.then_some(PutBack { dir: None, lock }))
    }

    fn make_again(&self) -> io::Result<PutBack> {
        let id = self.record.id.as_str();
        let dir = self.home.dir().create_dir(id)?;
        let made = dir.create_lock(LOCK).and_then(|lock| {
            self.record.write(&dir)?;
            link_socket(&dir, &self.record)?;
            Ok(lock)
        });
        match made {
            Ok(lock) => Ok(PutBack { dir: Some(dir), lock: Some(lock) }),
            Err(error) => {
                // The first error is the one to report.
                let _ = self.home.dir().remove_dir_all(id);
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::home::ClaimError;
    use crate::jail::JailBounds;

    fn claimed() -> (tempfile::TempDir, RuntimeDir, VmDir) {
        let dir = tempfile::tempdir().unwrap();
        let home = RuntimeDir::open(&dir.path().join("run"), JailBounds::none()).unwrap();
        let vm = home.claim(&"web".parse().unwrap()).unwrap();
        (dir, home, vm)
    }

    fn put_right(vm: &mut VmDir) -> Option<bool> {
        let put_back = vm.keeper().put_right().unwrap()?;
        let is_whole = put_back.is_whole();
        vm.take_back(put_back);
        Some(is_whole)
    }

    #[test]
    fn what_was_removed_of_a_living_vms_directory_is_put_back() {
        let (_dir, home, mut vm) = claimed();
        assert_eq!(put_right(&mut vm), None);
        for name in [LOCK, record::FILE] {
            fs_err::remove_file(vm.path().join(name)).unwrap();
            assert_eq!(put_right(&mut vm), Some(false), "{name}");
            assert!(vm.path().join(name).exists());
        }
        fs_err::remove_dir_all(vm.path()).unwrap();
        assert_eq!(put_right(&mut vm), Some(true));
        assert!(matches!(home.claim(vm.id()), Err(ClaimError::InUse { .. })));
        assert_eq!(home.sweep().unwrap().removed, []);
        let path = vm.path().to_owned();
        vm.remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn what_has_taken_the_place_of_a_directory_stays() {
        let (_dir, home, vm) = claimed();
        fs_err::rename(vm.path(), home.path().join("elsewhere")).unwrap();
        let other = home.claim(vm.id()).unwrap();
        vm.keeper().put_right().unwrap_err();
        assert!(other.path().join(record::FILE).exists());
    }
}
