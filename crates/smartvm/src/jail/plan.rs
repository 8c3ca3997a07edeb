//! Whether and how a VM is jailed on this host.

use std::path::{Path, PathBuf};

use rustix::process::geteuid;
use smartvm_firecracker::{FirecrackerBinary, JailerBinary, OpenJailerError};

use super::cgroup::{WantedLimits, default_limits};
use super::chroot::{ChrootBase, ChrootBaseError};
use super::config::JailConfig;
use super::mode::{JailMode, NotJailed};
use super::open_files::{TooFewOpenFiles, open_files};
use super::uid_range::{UidRange, UidRangeError};
use crate::config::VmConfig;
use crate::options::SmartVmOptions;

/// A VM that is to be jailed.
#[derive(Debug)]
pub(crate) struct JailPlan {
    pub(super) base: ChrootBase,
    pub(super) jailer: JailerBinary,
    pub(super) uids: UidRange,
    pub(super) config: JailConfig,
    pub(super) limits: WantedLimits,
    /// The name of Firecracker's program, which the jailer makes a directory of.
    pub(super) program: PathBuf,
    /// Its size in bytes; the jailer copies it.
    pub(super) program_size: u64,
    /// How many files Firecracker may have open, if not as many as the jailer allows.
    pub(super) open_files: Option<u64>,
}

/// A VM that cannot be jailed as was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanJailError {
    /// The manager jails every VM, the configuration says not to.
    #[error("the VM is not to be jailed, and every VM has to be")]
    Forbidden,
    /// A jail was asked for, and we are not root.
    #[error("a jail was asked for, and only root can make one")]
    NeedsRoot,
    /// Something was asked for that only a jail has.
    #[error("limits, a user or a namespace were asked for, and the VM is not jailed: {reason}")]
    OnlyInJail {
        /// Why it is not.
        reason: NotJailed,
    },
    /// There is no jailer.
    #[error(transparent)]
    Jailer(#[from] OpenJailerError),
    /// The directory of jails cannot be used.
    #[error(transparent)]
    Base(#[from] ChrootBaseError),
    /// The range of users is not VMs' alone.
    #[error(transparent)]
    Uids(#[from] UidRangeError),
    /// It could not have enough files open.
    #[error(transparent)]
    OpenFiles(#[from] TooFewOpenFiles),
}

impl JailPlan {
    /// Decides, and finds what a jail needs. Makes the directory of jails if it is not there.
    pub(crate) fn new(
        options: &SmartVmOptions,
        vm: &VmConfig,
        firecracker: &FirecrackerBinary,
    ) -> Result<Result<Self, NotJailed>, PlanJailError> {
        let config = &vm.jail;
        if let Err(reason) = decide(options.jail, config.enabled, geteuid().is_root())? {
            if config.asks_for_a_jail() {
                return Err(PlanJailError::OnlyInJail { reason });
            }
            return Ok(Err(reason));
        }
        options.uid_range.check_free(Path::new("/etc"))?;
        let explicit = options.jailer_binary_path.as_deref();
        let base = ChrootBase::open(&options.chroot_base())?;
        let defaults = default_limits(vm, options.ephemeral_writable_drives, base.path());
        Ok(Ok(Self {
            jailer: JailerBinary::find(firecracker, explicit, options.path_var.as_deref())?,
            base,
            uids: options.uid_range,
            config: config.clone(),
            limits: WantedLimits { asked: config.cgroup.clone(), defaults },
            program: firecracker.path().file_name().unwrap_or_default().into(),
            // A program that cannot be looked at cannot be started, which says more.
            program_size: fs_err::metadata(firecracker.path()).map_or(0, |found| found.len()),
            open_files: open_files(config.resource_limits.no_file)?,
        }))
    }

    /// Whether a VM of that configuration would be jailed, if it can be started at all.
    pub(crate) fn is_wanted(options: &SmartVmOptions, config: &JailConfig) -> bool {
        matches!(decide(options.jail, config.enabled, geteuid().is_root()), Ok(Ok(())))
    }

    pub(crate) fn jailer(&self) -> &JailerBinary {
        &self.jailer
    }
}

/// Whether the VM is jailed, or why not.
fn decide(
    mode: JailMode,
    enabled: Option<bool>,
    is_root: bool,
) -> Result<Result<(), NotJailed>, PlanJailError> {
    match (mode, enabled) {
        (JailMode::Required, Some(false)) => Err(PlanJailError::Forbidden),
        (JailMode::Auto | JailMode::Off, Some(false)) | (JailMode::Off, None) => {
            Ok(Err(NotJailed::TurnedOff))
        }
        (JailMode::Auto, None) if !is_root => Ok(Err(NotJailed::NotRoot)),
        (JailMode::Auto, None) | (JailMode::Required, None) | (_, Some(true)) => {
            if is_root {
                Ok(Ok(()))
            } else {
                Err(PlanJailError::NeedsRoot)
            }
        }
    }
}

impl PlanJailError {
    /// A stable name of the kind of failure.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Forbidden => "JAIL_REQUIRED",
            Self::NeedsRoot | Self::OnlyInJail { .. } => "JAIL_UNAVAILABLE",
            Self::Jailer(source) => source.code(),
            Self::Base(source) => source.code(),
            Self::Uids(_) => "UID_RANGE_TAKEN",
            Self::OpenFiles(_) => "OPEN_FILES_LIMIT",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Forbidden => None,
            Self::NeedsRoot | Self::OnlyInJail { reason: NotJailed::NotRoot } => {
                Some("run it as root, or leave out what needs a jail".to_owned())
            }
            Self::OnlyInJail { reason: NotJailed::TurnedOff } => {
                Some("let it be jailed, or leave these out".to_owned())
            }
            Self::Jailer(source @ OpenJailerError::NotFound { .. }) => {
                let hint = source.hint().unwrap_or_default();
                Some(format!("{hint}; without a jail (--no-jail) the VM runs as root"))
            }
            Self::Jailer(source) => source.hint(),
            Self::Base(source) => source.hint(),
            Self::Uids(source) => source.hint(),
            Self::OpenFiles(source) => Some(source.hint()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(mode: JailMode, enabled: Option<bool>, is_root: bool) -> &'static str {
        match decide(mode, enabled, is_root) {
            Ok(Ok(())) => "jailed",
            Ok(Err(NotJailed::NotRoot)) => "not root",
            Ok(Err(NotJailed::TurnedOff)) => "off",
            Err(error) => error.code(),
        }
    }

    #[test]
    fn root_jails_unless_told_otherwise() {
        use JailMode::{Auto, Off, Required};
        for (mode, enabled, as_root, as_user) in [
            (Auto, None, "jailed", "not root"),
            (Auto, Some(true), "jailed", "JAIL_UNAVAILABLE"),
            (Auto, Some(false), "off", "off"),
            (Off, None, "off", "off"),
            (Off, Some(true), "jailed", "JAIL_UNAVAILABLE"),
            (Off, Some(false), "off", "off"),
            (Required, None, "jailed", "JAIL_UNAVAILABLE"),
            (Required, Some(true), "jailed", "JAIL_UNAVAILABLE"),
            (Required, Some(false), "JAIL_REQUIRED", "JAIL_REQUIRED"),
        ] {
            assert_eq!(decided(mode, enabled, true), as_root, "{mode:?} {enabled:?}");
            assert_eq!(decided(mode, enabled, false), as_user, "{mode:?} {enabled:?}");
        }
    }
}
