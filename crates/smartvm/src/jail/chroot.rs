//! The directories of jails.
//!
//! ```text
//! <chroot base>/            0700, ours
//!   .lock                   held for the moment in which a jail's directory is made or removed
//!   firecracker/            0700, ours; named as the program is: the jailer wants it so
//!     <jail id>/            0700, ours
//!       lock                held by the owner as long as it lives
//!       lent                the files that were given to the VM for a time
//!       guard, guard.json   the program that the VM's processes live and die with
//!       root/               the VM's, all that it sees
//! ```
//!
//! They are on a disk, unlike the VMs' other directories: programs are started and devices are
//! opened in them, which a file system in memory forbids as a rule. So they outlive the host's
//! restart, and are swept by themselves.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, statvfs};
use smartvm_dir::{Entry, HeldLock, LockState, PrivateDir, UnsafeDirectory};
use smartvm_firecracker::{end_jail, jail_lives};

use super::bounds::uid_of;
use super::cgroup::marked_groups;
use super::lent::give_back;

/// A jail's lock.
const LOCK: &str = "lock";

/// What is in a jail besides.
const PARTS: [&str; 4] = ["root", "lent", "guard", "guard.json"];

/// The directory of all jails, checked.
#[derive(Debug, Clone)]
pub(crate) struct ChrootBase {
    dir: PrivateDir,
    /// As the jailer names it.
    path: PathBuf,
}

/// A jail's directory that is ours as long as this value lives. Dropping it removes nothing.
#[derive(Debug)]
pub(crate) struct HeldJail {
    pub(super) dir: PrivateDir,
    _lock: HeldLock,
}

/// A directory that jails cannot be made in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChrootBaseError {
    /// It is open to others.
    #[error("the directory of jails is not safe")]
    Unsafe(#[source] UnsafeDirectory),
    /// Its file system forbids what a jail needs.
    #[error("the file system of {} is mounted {option}", path.display())]
    Forbids {
        /// The directory.
        path: PathBuf,
        /// `nodev` or `noexec`.
        option: &'static str,
    },
}

impl ChrootBase {
    /// Takes `path`, making what is missing with mode 0700.
    pub(crate) fn open(path: &Path) -> Result<Self, ChrootBaseError> {
        let dir = PrivateDir::ensure(path).map_err(ChrootBaseError::Unsafe)?;
        forbidding_option(path).map_or(Ok(()), |option| {
            Err(ChrootBaseError::Forbids { path: path.to_owned(), option })
        })?;
        // As the jailer does; its arguments must name the same directory.
        let path = fs_err::canonicalize(path).map_err(|source| {
            ChrootBaseError::Unsafe(UnsafeDirectory::Unusable { path: path.to_owned(), source })
        })?;
        Ok(Self { dir, path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the directory of a jail, by its program and its id, and its root directory.
    ///
    /// Nothing may be there: what somebody else made could be a link to another place.
    pub(super) fn make(&self, program: &Path, id: &str) -> io::Result<HeldJail> {
        let _whole = self.lock()?;
        let dir = self.dir.ensure_dir(program)?.create_dir(id)?;
        let lock = dir.create_lock(LOCK)?;
        dir.create_dir("root")?;
        Ok(HeldJail { dir, _lock: lock })
    }

    /// Removes every jail whose owner died, and returns how many those were; then the control groups of jails that
    /// are gone. One that cannot be removed is told and does not keep the others.
    pub(crate) fn sweep(&self) -> io::Result<usize> {
        let mut removed = 0;
        for (of_program, name, _held) in self.claim_dead()? {
            match remove_dir(&of_program, &name) {
                Ok(()) => removed += 1,
                Err(error) => {
                    tracing::warn!(jail = name, %error, "cannot remove what a dead owner left");
                }
            }
        }
        self.sweep_groups()?;
        Ok(removed)
    }

    /// Removes control groups whose jail is gone, with what runs in them. A group is made after its jail and
    /// removed before it.
    fn sweep_groups(&self) -> io::Result<()> {
        for (group, mark) in marked_groups()? {
            let jail = Path::new(mark.program()).join(mark.name());
            if !mark.is_in(&self.path)? || self.dir.stat(jail)?.is_some() {
                continue;
            }
            let dir = group.dir().display();
            match group.remove() {
                Ok(()) => tracing::info!(group = %dir, "removed a control group without a jail"),
                Err(error) => {
                    tracing::warn!(group = %dir, %error, "cannot remove a control group without a jail");
                }
            }
        }
        Ok(())
    }

    /// The jails that nobody owns, held so that nobody else removes them. Nobody makes one while they are looked at, some
    /// microseconds each: a lock that is there and not taken yet is no dead owner's.
    fn claim_dead(&self) -> io::Result<Vec<(PrivateDir, String, Option<HeldLock>)>> {
        let _whole = self.lock()?;
        let mut dead = Vec::new();
        for program in self.dir.entries()?.iter().filter(|entry| entry.is_dir()) {
            let Some(of_program) = self.dir.dir(program.name())? else { continue };
            for jail in of_program.entries()?.iter().filter(|entry| entry.is_dir()) {
                match claim_one(&of_program, jail) {
                    Ok(Some((name, lock))) => dead.push((of_program.clone(), name, lock)),
                    Ok(None) => {}
                    Err(error) => {
                        let jail = jail.name().to_string_lossy();
                        tracing::warn!(%jail, %error, "cannot see whose jail it is");
                    }
                }
            }
        }
        Ok(dead)
    }

    fn lock(&self) -> io::Result<HeldLock> {
        self.dir.lock(".lock")
    }
}

/// A jail of a dead owner, held if it has a lock; only where nobody makes one.
fn claim_one(
    of_program: &PrivateDir,
    jail: &Entry,
) -> io::Result<Option<(String, Option<HeldLock>)>> {
    // Whoever named the directory of jails may have named one with something else in it.
    let name = jail.name().to_str().filter(|name| uid_of(name).is_some());
    let Some(name) = name else { return Ok(None) };
    let Some(dir) = of_program.dir(name)? else { return Ok(None) };
    Ok(match dir.try_lock(LOCK)? {
        LockState::Held => None,
        LockState::Ours(lock) => Some((name.to_owned(), Some(lock))),
        // The owner died before it made a lock, or removes the jail, or somebody has removed the lock, which says
        // nothing of who lives.
        _ => {
            let idle = is_part_of_jail(&dir)? && !jail_lives(&dir)?;
            idle.then(|| (name.to_owned(), None))
        }
    })
}

/// Whether a directory without a lock has what a jail has, one that was removed half-way too.
fn is_part_of_jail(dir: &PrivateDir) -> io::Result<bool> {
    let entries = dir.entries()?;
    let is_ours = |entry: &Entry| PARTS.iter().any(|part| entry.name() == *part);
    Ok(entries.is_empty() || entries.iter().any(is_ours))
}

/// Ends what runs in a jail, gives back what was lent to it and removes its directory; to be gone
/// already is success.
pub(super) fn remove_dir(of_program: &PrivateDir, name: &str) -> io::Result<()> {
    let Some(dir) = of_program.dir(name)? else { return Ok(()) };
    if end_jail(&dir)? {
        tracing::info!(jail = %dir.path().display(), "ended a jail of a dead owner");
    }
    if let Some(uid) = uid_of(name) {
        give_back(&dir, uid)?;
    }
    // It does not follow links, whatever the VM may have made of its own directory.
    of_program.remove_dir_all(name)
}

/// What of a jail the file system does not allow.
pub(crate) fn forbidding_option(path: &Path) -> Option<&'static str> {
    let flags = statvfs(path).ok()?.f_flag;
    if flags.contains(StatVfsMountFlags::NODEV) {
        Some("nodev")
    } else if flags.contains(StatVfsMountFlags::NOEXEC) {
        Some("noexec")
    } else {
        None
    }
}

impl ChrootBaseError {
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Unsafe(_) => "UNSAFE_DIRECTORY",
            Self::Forbids { .. } => "JAIL_DIR_UNUSABLE",
        }
    }

    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Unsafe(source) => source.hint(),
            Self::Forbids { .. } => Some(
                "name a directory for jails where devices and programs are allowed \
                 (`chrootBaseDir`)"
                    .to_owned(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_removes_jails_of_the_dead_and_nothing_else_that_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let base = ChrootBase::open(dir.path()).unwrap();
        let program = Path::new("firecracker");
        let living = base.make(program, "web-70000").unwrap();
        drop(base.make(program, "dead-70001").unwrap());
        fs_err::remove_file(dir.path().join("firecracker/dead-70001/lock")).unwrap();
        drop(base.make(program, "locked-70002").unwrap());
        // As in a directory that somebody named by mistake.
        for name in ["www/site", "www/site-2026", "firecracker/notes"] {
            fs_err::create_dir_all(dir.path().join(name).join("content")).unwrap();
        }
        assert_eq!(base.sweep().unwrap(), 2);
        for name in ["firecracker/web-70000", "www/site", "www/site-2026", "firecracker/notes"] {
            assert!(dir.path().join(name).exists(), "{name}");
        }
        drop(living);
        assert_eq!(base.sweep().unwrap(), 1);
    }
}
