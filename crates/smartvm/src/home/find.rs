//! Finding a VM that another process runs.

use std::io;
use std::path::{Path, PathBuf};

use smartvm_dir::{HostLockBusy, PrivateDir, UnsafeDirectory};
use smartvm_firecracker::ProcessIdentity;

use super::dead;
use super::record::VmRecord;
use super::runtime_dir::RuntimeDir;
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
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "VM_NOT_FOUND",
            Self::OwnerDead { .. } => "VM_OWNER_DEAD",
            Self::NotStarted { .. } => "VM_NOT_STARTED",
            Self::Unsafe(_) => "UNSAFE_DIRECTORY",
            Self::Io { source, .. } if HostLockBusy::of(source).is_some() => HostLockBusy::CODE,
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
            Self::Io { source, .. } => HostLockBusy::of(source).map(HostLockBusy::hint),
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
        let missing = |others| FindVmError::NotFound {
            id: id.to_owned(),
            runtime_dir: runtime_dir.to_owned(),
            others,
        };
        let Some(home) = RuntimeDir::existing(runtime_dir)? else {
            return Err(missing(Vec::new()));
        };
        let others = || home.ids().unwrap_or_default();
        let vm_id: VmId = id.parse().map_err(|_| missing(others()))?;
        let dir: PrivateDir = {
            // Nobody makes or removes it meanwhile.
            let _whole = home.lock().map_err(failed)?;
            let Some(dir) = home.dir().dir(vm_id.as_str()).map_err(failed)? else {
                return Err(missing(others()));
            };
            if !dead::owner_lives(&dir).map_err(failed)? {
                return Err(FindVmError::OwnerDead { id: vm_id });
            }
            dir
        };
        let record = VmRecord::read(&dir).map_err(failed)?;
        match record.and_then(|record| record.firecracker) {
            Some(process) => Ok(Self { id: vm_id, dir: dir.path().to_owned(), process }),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jail::JailBounds;

    #[test]
    fn a_vm_is_found_while_its_owner_lives() {
        let dir = tempfile::tempdir().unwrap();
        let runtime_dir = dir.path().join("run");
        let find = || FoundVm::find(&runtime_dir, "web");
        assert_eq!(find().unwrap_err().code(), "VM_NOT_FOUND");
        assert!(!runtime_dir.exists(), "looking makes nothing");

        let home = RuntimeDir::open(&runtime_dir, JailBounds::none()).unwrap();
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
        let home = RuntimeDir::open(&dir.path().join("run"), JailBounds::none()).unwrap();
        let vm_dir = home.dir().create_dir("web").unwrap();
        let mut record = VmRecord::new("web".parse().unwrap()).unwrap();
        record.owner.start_time += 1;
        record.write(&vm_dir).unwrap();
        let error = FoundVm::find(home.path(), "web").unwrap_err();
        assert_eq!(error.code(), "VM_OWNER_DEAD");
        assert!(vm_dir.path().join("record.json").exists(), "looking removes nothing");
    }
}
