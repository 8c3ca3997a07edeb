//! Finding a VM that another process runs.

use std::io;
use std::path::{Path, PathBuf};

use smartvm_firecracker::ProcessIdentity;

use super::private_dir::UnsafeDirectory;
use super::record::VmRecord;
use super::runtime_dir::{RuntimeDir, try_lock_vm};
use super::vm_dir::socket_path;
use crate::vm_id::VmId;

/// A VM with a living owner, which may be another process.
///
/// It is what was found at one moment: the VM may end at any other.
#[derive(Debug, Clone)]
pub struct FoundVm {
    id: VmId,
    dir: PathBuf,
    process: ProcessIdentity,
}

/// There is no VM to talk to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindVmError {
    /// No VM has the id.
    #[error("no VM {id:?} is running in {}", runtime_dir.display())]
    NotFound {
        /// What was asked for.
        id: String,
        /// Where it was looked for.
        runtime_dir: PathBuf,
        /// The VMs that there are.
        others: Vec<VmId>,
    },
    /// The process that owned the VM is dead, and the VM with it.
    #[error("the owner of VM {id} has died, and the VM with it")]
    OwnerDead {
        /// The VM.
        id: VmId,
    },
    /// Its Firecracker has not been started yet.
    #[error("VM {id} is being started")]
    NotStarted {
        /// The VM.
        id: VmId,
    },
    /// Others could have put something into the runtime directory.
    #[error(transparent)]
    Unsafe(#[from] UnsafeDirectory),
    /// The VM's files cannot be read.
    #[error("cannot look for VM {id:?}")]
    Io {
        /// What was asked for.
        id: String,
        /// What the system said.
        source: io::Error,
    },
}

impl FindVmError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "VM_NOT_FOUND",
            Self::OwnerDead { .. } => "VM_OWNER_DEAD",
            Self::NotStarted { .. } => "VM_NOT_STARTED",
            Self::Unsafe(_) => "UNSAFE_DIRECTORY",
            Self::Io { .. } => "RUNTIME_DIR_FAILED",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { others, .. } if others.is_empty() => Some(
                "no VM runs there; another --runtime-dir is another set of VMs, and each user has \
                 their own"
                    .to_owned(),
            ),
            Self::NotFound { others, .. } => {
                let others: Vec<_> = others.iter().map(VmId::as_str).collect();
                Some(format!("these run there: {}", others.join(", ")))
            }
            Self::OwnerDead { .. } => {
                Some("what is left of it goes with the next VM that is started there".to_owned())
            }
            Self::NotStarted { .. } => Some("try again in a moment".to_owned()),
            Self::Unsafe(error) => error.hint(),
            Self::Io { .. } => None,
        }
    }
}

impl FoundVm {
    /// Looks for VM `id` in a runtime directory. Nothing is changed, and nothing made.
    ///
    /// # Errors
    /// When there is no such VM, or its owner has died, or the directory is not safe.
    pub fn find(runtime_dir: &Path, id: &str) -> Result<Self, FindVmError> {
        let failed = |source| FindVmError::Io { id: id.to_owned(), source };
        let missing = || FindVmError::NotFound {
            id: id.to_owned(),
            runtime_dir: runtime_dir.to_owned(),
            others: all(runtime_dir),
        };
        let vm_id: VmId = id.parse().map_err(|_| missing())?;
        if !runtime_dir.exists() {
            return Err(missing());
        }
        let home = RuntimeDir::open(runtime_dir)?;
        let dir = home.vm_path(&vm_id);
        {
            // Nobody makes or removes it meanwhile.
            let _whole = home.lock().map_err(failed)?;
            if !dir.is_dir() {
                return Err(missing());
            }
            if try_lock_vm(&dir).map_err(failed)?.is_some() {
                return Err(FindVmError::OwnerDead { id: vm_id });
            }
        }
        let record = VmRecord::read(&dir).map_err(failed)?;
        match record.and_then(|record| record.firecracker) {
            Some(process) => Ok(Self { id: vm_id, dir, process }),
            None => Err(FindVmError::NotStarted { id: vm_id }),
        }
    }

    /// The VM's id.
    #[must_use]
    pub const fn id(&self) -> &VmId {
        &self.id
    }

    /// The API socket of its Firecracker.
    #[must_use]
    pub fn socket_path(&self) -> PathBuf {
        socket_path(&self.dir)
    }

    /// The process id of its Firecracker.
    #[must_use]
    pub const fn process_id(&self) -> u32 {
        self.process.pid
    }
}

/// The VMs that have a directory.
fn all(runtime_dir: &Path) -> Vec<VmId> {
    let entries = fs_err::read_dir(runtime_dir).into_iter().flatten().flatten();
    let dirs = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut ids: Vec<VmId> =
        dirs.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    ids.sort();
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vm_is_found_while_its_owner_lives() {
        let dir = tempfile::tempdir().unwrap();
        let runtime_dir = dir.path().join("run");
        let find = || FoundVm::find(&runtime_dir, "web");
        assert_eq!(find().unwrap_err().code(), "VM_NOT_FOUND");
        assert!(!runtime_dir.exists(), "looking makes nothing");

        let home = RuntimeDir::open(&runtime_dir).unwrap();
        let mut vm = home.claim(&"web".parse().unwrap()).unwrap();
        assert_eq!(find().unwrap_err().code(), "VM_NOT_STARTED");
        let us = ProcessIdentity::of(rustix::process::getpid()).unwrap();
        vm.record_process(us.clone()).unwrap();
        let found = find().unwrap();
        assert_eq!(found.socket_path(), vm.socket_path());
        assert_eq!(found.process_id(), us.pid);
        let other = FoundVm::find(&runtime_dir, "../web").unwrap_err();
        assert_eq!(other.hint().unwrap(), "these run there: web");
        vm.remove().unwrap();
        assert_eq!(find().unwrap_err().code(), "VM_NOT_FOUND");
    }

    #[test]
    fn a_vm_whose_owner_died_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let home = RuntimeDir::open(&dir.path().join("run")).unwrap();
        let vm_dir = home.path().join("web");
        fs_err::create_dir(&vm_dir).unwrap();
        VmRecord::new("web".parse().unwrap()).unwrap().write(&vm_dir).unwrap();
        let error = FoundVm::find(home.path(), "web").unwrap_err();
        assert_eq!(error.code(), "VM_OWNER_DEAD");
        assert!(vm_dir.join("record.json").exists(), "looking removes nothing");
    }
}
