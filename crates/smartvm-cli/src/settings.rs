//! Where things are, decided once from flags and environment.
//!
//! | variable | says | flag |
//! |---|---|---|
//! | `SMARTVM_DATA_DIR` | where kernels and downloads are kept | `--data-dir` |
//! | `SMARTVM_RUNTIME_DIR` | where the files of running VMs are | `--runtime-dir` |
//! | `SMARTVM_JAIL_DIR` | where jails are made | `--jail-dir` |
//! | `SMARTVM_NETWORK_DIR` | where it is written down what exists of networks | `--network-dir` |
//! | `SMARTVM_FIRECRACKER` | which Firecracker to use | `--firecracker` |
//! | `SMARTVM_BASE_IMAGE_CACHE_DIR` | where base images are kept | `--image-cache-dir` |
//! | `SMARTVM_MAX_STORED_BASE_IMAGES` | how many are kept | `image pull --max-stored-images` |
//! | `SMARTVM_BUCKET_URL` | where they come from without a manifest | `image pull --bucket-url` |
//! | `SMARTVM_RELEASE_URL` | where Firecracker comes from | `firecracker install --release-url` |
//! | `SMARTVM_AUDIT` | whether it is written down who asks for what | `--audit` |
//! | `SMARTVM_DISK_BUDGET` | how much of the disk VMs may come to take | `--disk-budget` |
//! | `SMARTVM_VERIFY_KEY` | which key images and snapshots must be signed by | `--verify` of `run`, `snapshot restore`; `image pull --verify-key` |
//! | `SMARTVM_AGENT` | which guest init `kernel import` packs | `kernel import --init` |
//! | `XDG_DATA_HOME`, `HOME` | the default data directory of a user who is not root | |
//! | `XDG_RUNTIME_DIR` | the same for the runtime directory | |
//! | `PATH` | where to look for `firecracker` | |
//! | `NO_COLOR`, `CLICOLOR_FORCE` | no colours, or colours everywhere | |
//!
//! Flags win over variables. clap reads the variables of the flags.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use smartvm::audit::AuditLog;
use smartvm::{DiskLedger, SmartVmOptions};
use smartvm_firecracker::FirecrackerBinary;
use smartvm_images::{HostTools, KernelStore, sweep_drafts};
use smartvm_network::WireGuardOptions;

use crate::args::{Global, Switch};
use crate::failure::Failure;
use crate::net::NetworkFlags;

/// What the libraries must know of this host and user.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Where kernels and downloads are kept.
    pub(crate) data_dir: PathBuf,
    /// Where the files of running VMs are.
    pub(crate) runtime_dir: PathBuf,
    /// Where jails are made, when that was said.
    pub(crate) jail_dir: Option<PathBuf>,
    /// Where base images are kept, when that was said.
    pub(crate) image_cache_dir: Option<PathBuf>,
    /// Where it is written down what exists of networks.
    pub(crate) network_dir: PathBuf,
    /// The network of VMs whose network devices name no TAP.
    pub(crate) network: NetworkFlags,
    /// The way out of that network, if it is WireGuard.
    pub(crate) wireguard: Option<WireGuardOptions>,
    /// The Firecracker that was asked for.
    pub(crate) firecracker: Option<PathBuf>,
    /// The public key that snapshots and base images must be signed by.
    pub(crate) verify_key: Option<PathBuf>,
    /// The defects of Firecracker that are accepted.
    pub(crate) accepted_defects: Vec<String>,
    /// Whether it is written down who asks what of which VM, when that was said.
    pub(crate) audit: Option<bool>,
    /// How many bytes of the disk may be taken, when that was said.
    pub(crate) disk_budget: Option<u64>,
    /// `PATH`.
    pub(crate) path_var: Option<OsString>,
    /// `SMARTVM_AGENT`.
    pub(crate) agent: Option<PathBuf>,
}

impl Settings {
    /// Decides from the flags, then the environment, then the defaults.
    ///
    /// # Errors
    /// `NO_DATA_DIR` when nothing says where data may be kept.
    pub(crate) fn resolve(global: &Global) -> Result<Self, Failure> {
        let defaults = SmartVmOptions::default();
        let data_dir = match &global.data_dir {
            Some(dir) => dir.clone(),
            None if rustix::process::geteuid().is_root() => defaults.data_dir,
            None => user_data_dir(variable("XDG_DATA_HOME"), variable("HOME"))?,
        };
        let xdg_runtime_dir = match rustix::process::geteuid() {
            us if us.is_root() => None,
            us => user_runtime_dir(variable("XDG_RUNTIME_DIR"), us.as_raw()),
        };
        Ok(Self {
            data_dir: absolute(&data_dir)?,
            runtime_dir: absolute(match &global.runtime_dir {
                Some(dir) => dir,
                None => xdg_runtime_dir.as_ref().unwrap_or(&defaults.runtime_dir),
            })?,
            jail_dir: global.jail_dir.as_deref().map(absolute).transpose()?,
            image_cache_dir: global.image_cache_dir.as_deref().map(absolute).transpose()?,
            network_dir: absolute(
                global.network_dir.as_deref().unwrap_or(&defaults.network_state_dir),
            )?,
            network: NetworkFlags::default(),
            wireguard: None,
            firecracker: global.firecracker.as_deref().map(absolute).transpose()?,
            verify_key: None,
            accepted_defects: global.accept_defect.clone(),
            audit: global.audit.map(|audit| audit == Switch::On),
            disk_budget: global.disk_budget.map(|size| size.0 << 20),
            path_var: variable("PATH"),
            agent: variable("SMARTVM_AGENT").map(PathBuf::from),
        })
    }

    /// The same for the library.
    pub(crate) fn options(&self) -> SmartVmOptions {
        let defaults = SmartVmOptions::default();
        SmartVmOptions {
            bridge_name: self.network.bridge.clone().unwrap_or(defaults.bridge_name),
            subnet: self.network.subnet.unwrap_or(defaults.subnet),
            isolation: self.network.isolation(),
            guest_bounds: self.network.guest_bounds(),
            dns: self.network.dns(),
            wireguard: self.wireguard.clone(),
            network_state_dir: self.network_dir.clone(),
            data_dir: self.data_dir.clone(),
            runtime_dir: self.runtime_dir.clone(),
            firecracker_binary_path: self.firecracker.clone(),
            path_var: self.path_var.clone(),
            base_image_cache_dir: self.image_cache_dir.clone(),
            chroot_base_dir: self.jail_dir.clone(),
            verify_key: self.verify_key.clone(),
            accepted_defects: self.accepted_defects.clone(),
            audit: self.audit,
            disk_budget: self.disk_budget,
            ..SmartVmOptions::default()
        }
    }

    /// The Firecracker that a VM would run in.
    pub(crate) fn find_firecracker(&self) -> Result<FirecrackerBinary, Failure> {
        let explicit = self.firecracker.as_deref();
        FirecrackerBinary::find(explicit, &self.data_dir, self.path_var.as_deref())
            .map_err(|error| Failure::of(&error, error.code(), error.hint()))
    }

    /// Where it is written down who asks what of which VM.
    pub(crate) fn audit_log(&self) -> AuditLog {
        AuditLog::of(&self.options())
    }

    /// Where images of root file systems are that have a name and no path.
    pub(crate) fn rootfs_dir(&self) -> PathBuf {
        self.data_dir.join("rootfs")
    }

    /// Removes what was left of images of root file systems by commands that were killed.
    pub(crate) fn sweep_drafts(&self) {
        if let Err(error) = sweep_drafts(&self.rootfs_dir()) {
            tracing::warn!(%error, "cannot look for what killed commands left");
        }
    }

    /// Where the programs that make file systems are.
    pub(crate) fn host_tools(&self) -> HostTools {
        self.path_var.as_deref().map_or_else(HostTools::default, HostTools::on_path)
    }

    /// Refuses an image, a kernel or a release that is about to be made or fetched where the disk budget is used
    /// up. How large it will be is not known.
    ///
    /// # Errors
    /// `DISK_BUDGET_EXCEEDED`, `DISK_LEDGER_FAILED`.
    pub(crate) fn admit_image(&self) -> Result<(), Failure> {
        let admitted = DiskLedger::from(&self.options()).check("it", 1);
        admitted.map_err(|error| Failure::of(&error, error.code(), error.hint()))
    }

    /// The kernels that were imported.
    pub(crate) fn kernels(&self) -> Result<KernelStore, Failure> {
        KernelStore::open(&self.data_dir.join("kernels"))
            .map_err(|error| Failure::of(&error, error.code(), error.hint()))
    }
}

/// A path that stays right whatever directory a child process works in.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| {
        let message = format!("failed to make `{}` an absolute path", path.display());
        Failure::new("BAD_PATH", message).caused_by(&error)
    })
}

fn user_data_dir(xdg: Option<OsString>, home: Option<OsString>) -> Result<PathBuf, Failure> {
    // The XDG rules say that a relative path counts as unset.
    let usable = |value: OsString| Some(PathBuf::from(value)).filter(|path| path.is_absolute());
    let base = xdg.and_then(usable);
    let base = base.or_else(|| home.and_then(usable).map(|home| home.join(".local/share")));
    base.map(|base| base.join("smartvm")).ok_or_else(|| {
        Failure::new("NO_DATA_DIR", "no directory for data: neither XDG_DATA_HOME nor HOME is set")
            .with_hint("say where with --data-dir or SMARTVM_DATA_DIR")
    })
}

/// Below the one that the session made for its user; after `su` or `sudo` the variable still names
/// another's.
fn user_runtime_dir(xdg: Option<OsString>, us: u32) -> Option<PathBuf> {
    let base = xdg.map(PathBuf::from).filter(|path| path.is_absolute())?;
    let is_ours = fs_err::symlink_metadata(&base).is_ok_and(|it| it.is_dir() && it.uid() == us);
    is_ours.then(|| base.join("smartvm"))
}

/// A variable of the environment that is not empty.
#[expect(clippy::disallowed_methods, reason = "the one place of the command that reads it")]
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(xdg: Option<&str>, home: Option<&str>) -> Option<String> {
        let dir = user_data_dir(xdg.map(Into::into), home.map(Into::into)).ok()?;
        Some(dir.display().to_string())
    }

    #[test]
    fn a_users_runtime_directory_is_in_their_session_s_and_in_no_other() {
        let session = tempfile::tempdir().unwrap();
        let us = rustix::process::geteuid().as_raw();
        let dir = |path: &Path, us| user_runtime_dir(Some(path.into()), us);
        assert_eq!(dir(session.path(), us), Some(session.path().join("smartvm")));
        assert_eq!(dir(session.path(), us + 1), None);
        assert_eq!(dir(Path::new("run"), us), None);
        assert_eq!(user_runtime_dir(None, us), None);
    }

    #[test]
    fn a_users_data_is_where_xdg_says() {
        assert_eq!(dir(Some("/x"), Some("/h")).as_deref(), Some("/x/smartvm"));
        assert_eq!(dir(None, Some("/h")).as_deref(), Some("/h/.local/share/smartvm"));
        assert_eq!(dir(Some("rel"), Some("/h")).as_deref(), Some("/h/.local/share/smartvm"));
        assert_eq!(dir(None, None), None);
    }
}
