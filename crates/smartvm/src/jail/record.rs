//! A VM's jail, and what is written down of it before it is made.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smartvm_dir::{HostLockBusy, PrivateDir, UnsafeDirectory};
use smartvm_firecracker::{FirecrackerBinary, JailSpec, ResourceLimits};

use super::bounds::{JailBounds, cgroup_of, name_of};
use super::cgroup::{AppliedLimits, Cgroup, CgroupError, GroupPlan, JailMark};
use super::chroot::{HeldJail, remove_dir};
use super::files::JailFiles;
use super::lease::{LEASES, Leases};
use super::mode::Confinement;
use super::plan::JailPlan;
use super::room::{NoRoomForJail, check_room};

/// How much of a VM's id is in the name of its jail. The socket in it must have a path of 107 bytes
/// at most.
const ID_LIMIT: usize = 20;

/// What removes a jail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct JailRecord {
    /// Its directory.
    pub(crate) dir: PathBuf,
    /// The user that the VM is.
    pub(crate) uid: u32,
    /// The group that the VM is.
    pub(crate) gid: u32,
    /// Its control group.
    pub(crate) cgroup: Option<PathBuf>,
}

/// A jail that was made.
#[derive(Debug)]
pub(crate) struct Jail {
    pub(crate) record: JailRecord,
    pub(crate) files: Arc<JailFiles>,
    plan: JailPlan,
    cgroup: Option<Cgroup>,
    limits: AppliedLimits,
    _held: HeldJail,
}

/// A jail that could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MakeJailError {
    /// Every user of the range has a VM.
    #[error("all users from {first} to {last} are in use by VMs")]
    NoFreeUid {
        /// The first of the range.
        first: u32,
        /// The last of the range.
        last: u32,
    },
    /// Another VM is the user that was asked for.
    #[error("user {uid} is the one of another VM, with jail {}", jail.display())]
    UidInUse {
        /// The user.
        uid: u32,
        /// The other's jail.
        jail: PathBuf,
    },
    /// The directory that says who is which user is not safe.
    #[error("the directory of users in use is not safe")]
    Leases(#[source] UnsafeDirectory),
    /// Something is where the jail is to be made.
    #[error("{} is there already, and it is nobody's jail", path.display())]
    Planted {
        /// Where.
        path: PathBuf,
    },
    /// It does not fit there.
    #[error(transparent)]
    NoRoom(#[from] NoRoomForJail),
    /// The limits cannot be set.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    /// The system refused.
    #[error("cannot make a jail in {}", base.display())]
    Io {
        /// The directory of jails.
        base: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Jail {
    /// Makes a jail for the VM with this instance id. `note` writes the record down before what it
    /// names is made; whatever fails, the record removes what was made until then.
    pub(crate) fn make(
        plan: JailPlan,
        instance_id: &str,
        note: impl FnOnce(&JailRecord) -> io::Result<()>,
    ) -> Result<Self, MakeJailError> {
        let failed = |source| MakeJailError::Io { base: plan.base.path().to_owned(), source };
        check_room(plan.base.path(), plan.program_size).map_err(failed)??;
        let leases = PrivateDir::ensure(Path::new(LEASES)).map_err(MakeJailError::Leases)?;
        let leases = Leases::lock(leases).map_err(failed)?;
        let uid = match plan.config.uid {
            None => leases
                .find(plan.uids)
                .map_err(failed)?
                .ok_or(MakeJailError::NoFreeUid { first: plan.uids.first, last: plan.uids.last })?,
            Some(uid) => match leases.holder(uid).map_err(failed)? {
                None => uid,
                Some(jail) => return Err(MakeJailError::UidInUse { uid, jail }),
            },
        };
        let id = jail_id(instance_id, uid);
        let dir = plan.base.path().join(&plan.program).join(id.as_str());
        let group = GroupPlan::new(&plan.limits, &id)?;
        let record = JailRecord {
            dir,
            uid,
            gid: plan.config.gid.unwrap_or(uid),
            cgroup: group.dir().map(Path::to_owned),
        };
        if record.dir.symlink_metadata().is_ok() {
            return Err(MakeJailError::Planted { path: record.dir });
        }
        note(&record).map_err(failed)?;
        leases.take(uid, &record.dir).map_err(failed)?;
        let held = plan.base.make(&plan.program, &id).map_err(failed)?;
        drop(leases);
        let (cgroup, limits) = group.make()?;
        if let Some(cgroup) = &cgroup {
            let mark = JailMark::of(plan.base.path(), &plan.program, &id);
            if let Err(error) = mark.and_then(|mark| cgroup.mark(&mark)) {
                // As in a user namespace. It is only for when the record is lost.
                tracing::debug!(%error, "the control group cannot be told whose it is");
            }
        }
        let files =
            JailFiles::open(held.dir.clone(), &record.dir, uid, record.gid).map_err(failed)?;
        Ok(Self { record, files: Arc::new(files), plan, cgroup, limits, _held: held })
    }

    /// What Firecracker is started with. What was exposed until now is seen by it from the start.
    pub(crate) fn spec(&self) -> JailSpec {
        let id = self.record.dir.file_name().unwrap_or_default();
        let limits = &self.plan.config.resource_limits;
        JailSpec {
            jailer: self.plan.jailer.clone(),
            id: id.to_string_lossy().into_owned(),
            uid: self.record.uid,
            gid: self.record.gid,
            chroot_base: self.plan.base.path().to_owned(),
            netns: self.plan.config.netns.clone(),
            limits: ResourceLimits { fsize: limits.fsize, no_file: self.plan.open_files },
            cgroup: self.cgroup.as_ref().map(|cgroup| cgroup.dir().to_owned()),
            binds: self.files.take_binds(),
        }
    }

    /// Whether the jailer's version is Firecracker's: each release is tested with its own only.
    pub(crate) async fn check_versions(
        &self,
        firecracker: &FirecrackerBinary,
    ) -> Result<(), super::versions::JailerVersionError> {
        super::versions::check(self.plan.jailer(), firecracker).await
    }

    pub(crate) fn confinement(&self) -> Confinement {
        Confinement::Jailed {
            uid: self.record.uid,
            gid: self.record.gid,
            root: self.files.root_path().to_owned(),
            cgroup: self.cgroup.as_ref().map(|cgroup| cgroup.dir().to_owned()),
            limits: self.limits.clone(),
        }
    }

    /// Lets the VM use so much more memory, for what it is to write there for us. A limit that was
    /// asked for stays.
    pub(crate) fn allow_memory(&self, bytes: u64) -> io::Result<()> {
        match &self.cgroup {
            Some(cgroup) if self.plan.limits.asked.memory_max_mib.is_none() => {
                cgroup.allow_memory(bytes)
            }
            _ => Ok(()),
        }
    }
}

impl JailRecord {
    /// Whether the kernel killed a process for want of memory within the limit.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        self.cgroup.as_deref().is_some_and(|dir| Cgroup::at(dir).oom_kills() > 0)
    }

    /// Removes all that is named, in reverse order, within the bounds; the process must have ended.
    pub(crate) fn remove(&self, bounds: &JailBounds) -> io::Result<()> {
        let name = name_of(self)?;
        // Before anything is touched.
        let located = bounds.locate(self)?;
        if let Some(cgroup) = cgroup_of(self, &name)? {
            Cgroup::at(cgroup).remove()?;
        }
        if let Some(jail) = located {
            remove_dir(&jail.of_program, &jail.name)?;
        }
        match PrivateDir::existing(Path::new(LEASES)).map_err(io::Error::other)? {
            // Forgotten when the host was restarted.
            None => Ok(()),
            Some(leases) => Leases::lock(leases)?.release(self.uid, &self.dir),
        }
    }

    /// The root directory of the jail; none when it is gone.
    pub(crate) fn root(&self, bounds: &JailBounds) -> io::Result<Option<PrivateDir>> {
        let Some(jail) = bounds.locate(self)? else { return Ok(None) };
        jail.of_program.dir(Path::new(&jail.name).join("root"))
    }
}

/// The name of a jail: unique as the user is, and told apart by people.
fn jail_id(instance_id: &str, uid: u32) -> String {
    let start: String = instance_id.chars().take(ID_LIMIT).collect();
    format!("{}-{uid}", start.trim_end_matches('-'))
}

impl MakeJailError {
    /// A stable name of the kind of failure.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoFreeUid { .. } => "UID_RANGE_EXHAUSTED",
            Self::UidInUse { .. } => "UID_IN_USE",
            Self::Leases(_) => "UNSAFE_DIRECTORY",
            Self::Planted { .. } => "JAIL_DIR_UNUSABLE",
            Self::NoRoom(_) => "JAIL_NO_SPACE",
            Self::Cgroup(source) => source.code(),
            Self::Io { source, .. } if HostLockBusy::of(source).is_some() => HostLockBusy::CODE,
            Self::Io { .. } => "JAIL_FAILED",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoFreeUid { .. } => {
                Some("name a larger range of users, `uidRange`, or end a VM".to_owned())
            }
            Self::UidInUse { .. } => Some("leave the user to be chosen".to_owned()),
            Self::Leases(source) => source.hint(),
            Self::Planted { path } => {
                Some(format!("see what {} is, and remove it", path.display()))
            }
            Self::NoRoom(source) => Some(source.hint()),
            Self::Cgroup(source) => source.hint(),
            Self::Io { source, .. } => HostLockBusy::of(source).map(HostLockBusy::hint),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_differ_in_what_the_jailer_cannot_take_have_different_jails() {
        assert_eq!(jail_id("a-b", 70_000), "a-b-70000");
        assert_eq!(jail_id(&"x".repeat(64), 70_000), format!("{}-70000", "x".repeat(20)));
        assert_eq!(jail_id("0123456789012345678-abc", 7), "0123456789012345678-7");
    }
}
