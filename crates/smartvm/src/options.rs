//! How a manager of VMs is set up.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;
use serde::{Deserialize, Serialize};
use smartvm_firecracker::{FirecrackerBinary, OpenBinaryError};
use smartvm_images::base_image::{Arch, BucketUrl, CacheLimit, ManifestUrl};
use smartvm_images::{ReleaseSource, ReleaseVersion};
use smartvm_network::policy::{FirewallConfig, GuestBounds, Isolation};
use smartvm_network::{InterfaceName, NetworkOptions, Subnet, WireGuardOptions};

use crate::jail::{JailMode, UidRange};

/// The settings of a [`SmartVm`](crate::SmartVm); the JSON form has the same names in camelCase.
///
/// ```
/// let options = smartvm::SmartVmOptions {
///     firecracker_binary_path: Some("/usr/local/bin/firecracker".into()),
///     ..smartvm::SmartVmOptions::default()
/// };
/// assert!(options.ephemeral_writable_drives);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SmartVmOptions {
    /// What is kept: Firecracker's binaries, kernels, images. Default: `/var/lib/smartvm` for
    /// root; others say where, since only the command may look at their environment, and get
    /// a directory next to the runtime directory otherwise.
    pub data_dir: PathBuf,
    /// What goes with the VMs: sockets, and private copies of drives of those that are not jailed.
    /// Default: `/run/smartvm/vms` for root. Others say where, best `$XDG_RUNTIME_DIR/smartvm`, since only
    /// the command may look at their environment; else it is `/dev/shm/.smartvm-UID/runtime` where
    /// `/dev/shm` is a directory, or the same below the system's directory for temporary files, and is
    /// refused when somebody else has made it.
    pub runtime_dir: PathBuf,
    /// Whether a writable drive is a private copy that goes with its VM. Default: yes.
    pub ephemeral_writable_drives: bool,
    /// The Firecracker to run. Default: the chosen or the newest below `<dataDir>/firecracker`, else
    /// the one on [`path_var`](Self::path_var).
    pub firecracker_binary_path: Option<PathBuf>,
    /// The one version to run, out of `<dataDir>/firecracker`, and for `ensure_binary` to install
    /// there. Default: any that is there, else the latest release.
    pub firecracker_version: Option<ReleaseVersion>,
    /// The processor that releases and base images are for. Default: this host's.
    pub arch: Arch,
    /// Where releases of Firecracker come from. Default: its own page; a mirror has the same addresses.
    pub release_url: ReleaseSource,
    /// Where base images are kept. Default: `<dataDir>/base-images`.
    pub base_image_cache_dir: Option<PathBuf>,
    /// How many base images are kept. Default: 2.
    pub max_stored_base_images: CacheLimit,
    /// The manifest of the base image, on a server; it wins over any preset. Default: none.
    pub base_image_manifest_url: Option<ManifestUrl>,
    /// The same on this host; it wins over the URL. Default: none.
    pub base_image_manifest_path: Option<PathBuf>,
    /// Whether a manifest from a public server may name artifacts that are not https or not at public addresses.
    /// Default: no.
    pub allow_private_artifacts: bool,
    /// Where base images without a manifest come from. Default: the bucket of Firecracker's CI.
    pub bucket_url: BucketUrl,
    /// The directories to search for Firecracker, as in `PATH`. The library never reads the
    /// environment itself. Default: none.
    #[serde(skip)]
    pub path_var: Option<OsString>,
    /// How many bytes of a guest's console are kept for a reader who comes late, 64 KiB by default.
    /// Older output is overwritten: a guest can never take more memory than this.
    pub console_capacity: usize,
    /// How large, in bytes, a file becomes that a VM's console, log or metrics are copied to, 8 MiB
    /// by default. It is then renamed to the same name with `.1` behind it, over the one before: at
    /// most twice as much is on the disk.
    pub output_file_limit: u64,
    /// How many bytes all VMs of the data directory may come to take of the disk, together with what is kept in it:
    /// private copies of drives with their whole lengths, snapshots, images, kernels, logs. A start or a
    /// snapshot that does not fit is refused (`DISK_BUDGET_EXCEEDED`). Default: no bound but the disk's own,
    /// of which a twentieth, 1 GiB at most, stays free (`DISK_NO_ROOM`).
    pub disk_budget: Option<u64>,
    /// Whether VMs are jailed: run by Firecracker's jailer, each as a user of its own. Default: when
    /// this process is root's.
    pub jail: JailMode,
    /// The users that jailed VMs are. Default: 1900000000 to 1900065535.
    pub uid_range: UidRange,
    /// Where jails are made: on a file system that is mounted neither `nodev` nor `noexec`, best
    /// the one that drives are on. Default: `<dataDir>/jail`.
    pub chroot_base_dir: Option<PathBuf>,
    /// The bridge of VMs whose network devices name no TAP: made when it is missing, used as it is
    /// when it exists. Default: `svbr0`.
    pub bridge_name: InterfaceName,
    /// The addresses of those VMs and, the first, of the host. Default: `172.30.0.0/24`.
    pub subnet: Subnet,
    /// Where those VMs may connect to. Default: every public address; in the host's neighbourhood only what
    /// isolation or a firewall opens, and their resolvers.
    pub firewall: Option<FirewallConfig>,
    /// The WireGuard interface that all those VMs send out of their subnet goes through. Default: none.
    /// Its keys are never written out again.
    pub wireguard: Option<WireGuardOptions>,
    /// What is opened to those VMs: each other, the host's neighbourhood (`lan`), services of the host, the cloud's
    /// metadata. Default: nothing.
    pub isolation: Isolation,
    /// What each of those VMs may take of the host's tables: connections that it has open, and begins in a second.
    /// Default: 4,096 and 100. One of a network device's own can only be tighter.
    pub guest_bounds: GuestBounds,
    /// Whom those VMs ask for names; two at most are told, and those they may ask also where the host's
    /// neighbourhood is closed. Default: those that a managed WireGuard interface names (`DNS`), else the host's, but for one
    /// on its loopback.
    pub dns: Option<Vec<Ipv4Addr>>,
    /// Where it is written down what exists of networks, for the whole host. Default:
    /// `/run/smartvm/net`.
    pub network_state_dir: PathBuf,
    /// The jailer. Default: the one beside Firecracker, else the one on [`path_var`](Self::path_var).
    pub jailer_binary_path: Option<PathBuf>,
    /// The file of a public Ed25519 key in PEM. With it, snapshots and base images are used only when
    /// they are signed by its other half. Default: none, and nothing need be signed.
    pub verify_key: Option<PathBuf>,
    /// The known defects of a Firecracker version that are accepted, such as `CVE-2026-5747`; `*` is
    /// all of them. What another defect bites is refused with `FIRECRACKER_KNOWN_BAD`. Default: none.
    pub accepted_defects: Vec<String>,
    /// Whether it is written down for good who asks what of which VM: see [`audit`](crate::audit).
    /// Default: when this process is root's.
    pub audit: Option<bool>,
}

impl SmartVmOptions {
    /// Where jails are made.
    #[must_use]
    pub fn chroot_base(&self) -> PathBuf {
        self.chroot_base_dir.clone().unwrap_or_else(|| self.data_dir.join("jail"))
    }

    /// Where base images are kept.
    #[must_use]
    pub fn base_image_cache(&self) -> PathBuf {
        let default = || self.data_dir.join("base-images");
        self.base_image_cache_dir.clone().unwrap_or_else(default)
    }

    /// Where releases of Firecracker are installed.
    #[must_use]
    pub fn releases_dir(&self) -> PathBuf {
        self.data_dir.join("firecracker")
    }

    /// The Firecracker that a VM would run in.
    ///
    /// # Errors
    /// When there is none, or it cannot be run.
    pub fn find_binary(&self) -> Result<FirecrackerBinary, OpenBinaryError> {
        let explicit = self.firecracker_binary_path.as_deref();
        match (explicit, &self.firecracker_version) {
            (None, Some(version)) => {
                FirecrackerBinary::find_version(&self.data_dir, &numbers(version))
            }
            _ => FirecrackerBinary::find(explicit, &self.data_dir, self.path_var.as_deref()),
        }
    }
}

impl Default for SmartVmOptions {
    fn default() -> Self {
        let home = volatile_home();
        Self {
            data_dir: if geteuid().is_root() {
                PathBuf::from("/var/lib/smartvm")
            } else {
                home.join("data")
            },
            runtime_dir: if geteuid().is_root() {
                PathBuf::from(ROOT_RUNTIME_DIR)
            } else {
                home.join("runtime")
            },
            ephemeral_writable_drives: true,
            firecracker_binary_path: None,
            firecracker_version: None,
            arch: Arch::HOST,
            release_url: ReleaseSource::default(),
            base_image_cache_dir: None,
            max_stored_base_images: CacheLimit::default(),
            base_image_manifest_url: None,
            base_image_manifest_path: None,
            allow_private_artifacts: false,
            bucket_url: BucketUrl::default(),
            path_var: None,
            console_capacity: 64 * 1024,
            output_file_limit: 8 * 1024 * 1024,
            disk_budget: None,
            jail: JailMode::default(),
            uid_range: UidRange::default(),
            chroot_base_dir: None,
            jailer_binary_path: None,
            verify_key: None,
            accepted_defects: Vec::new(),
            audit: None,
            bridge_name: InterfaceName::default_bridge(),
            subnet: Subnet::default(),
            firewall: None,
            wireguard: None,
            isolation: Isolation::default(),
            guest_bounds: GuestBounds::default(),
            dns: None,
            network_state_dir: NetworkOptions::STATE_DIR.into(),
        }
    }
}

/// Where only root can make anything, and which the host's restart forgets.
const ROOT_RUNTIME_DIR: &str = "/run/smartvm/vms";

/// The runtime directory that was the default before, where another one is now: others could make it
/// before us there. What older versions left in it is swept.
pub(crate) fn former_runtime_dir(now: &Path) -> Option<PathBuf> {
    let us = geteuid();
    let is_default = if us.is_root() {
        now == Path::new(ROOT_RUNTIME_DIR)
    } else {
        now.starts_with(format!("/run/user/{}", us.as_raw()))
    };
    is_default.then(|| volatile_home().join("runtime"))
}

/// A place in memory where the system has one. Each user has their own: whoever made a shared one
/// first would lock the others out.
fn volatile_home() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let us = geteuid();
    if us.is_root() {
        parent.join(".smartvm")
    } else {
        parent.join(format!(".smartvm-{}", us.as_raw()))
    }
}

/// The version as the programs themselves say it.
pub(crate) fn numbers(version: &ReleaseVersion) -> smartvm_firecracker::FirecrackerVersion {
    // No release has numbers beyond these; one that had would not be found.
    let number = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
    let (major, minor, patch) = (version.major, version.minor, version.patch);
    smartvm_firecracker::FirecrackerVersion::new(number(major), number(minor), number(patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtime_directory_of_root_is_where_only_root_can_make_it() {
        let options = SmartVmOptions::default();
        if geteuid().is_root() {
            assert_eq!(options.runtime_dir, Path::new("/run/smartvm/vms"));
            assert_eq!(options.data_dir, Path::new("/var/lib/smartvm"));
            let former = former_runtime_dir(&options.runtime_dir).unwrap();
            assert!(former.ends_with(".smartvm/runtime"));
        } else {
            assert!(options.runtime_dir.ends_with("runtime"));
        }
        assert_eq!(former_runtime_dir(Path::new("/elsewhere")), None);
    }

    #[test]
    fn options_are_read_from_camel_case_json() {
        let options: SmartVmOptions = serde_json::from_str(
            r#"{"runtimeDir":"/run/vms","ephemeralWritableDrives":false,
                "firecrackerBinaryPath":"/bin/false"}"#,
        )
        .unwrap();
        assert_eq!(options.runtime_dir, Path::new("/run/vms"));
        assert!(!options.ephemeral_writable_drives);
        assert_eq!(options.firecracker_binary_path.as_deref(), Some(Path::new("/bin/false")));
        assert!(serde_json::from_str::<SmartVmOptions>(r#"{"dataDirr":"/x"}"#).is_err());
        let options: SmartVmOptions = serde_json::from_str(
            r#"{"wireguard":{"existingInterface":"wgsmartvm0","routeAllVmTraffic":false},
                "firewall":{"egress":{"defaultAction":"deny","rules":[
                    {"action":"allow","to":"1.1.1.1","protocol":"tcp","ports":443}]}}}"#,
        )
        .unwrap();
        let wireguard = options.wireguard.unwrap();
        assert_eq!(wireguard.existing_interface.as_deref(), Some("wgsmartvm0"));
        assert_eq!(wireguard.route_all_vm_traffic, Some(false));
        assert_eq!(options.firewall.unwrap().to_policy().unwrap().rules.len(), 1);
    }

    #[test]
    fn options_of_base_images_are_read_with_the_keys_of_the_original() {
        let options: SmartVmOptions = serde_json::from_str(
            r#"{"baseImageCacheDir":"/cache","maxStoredBaseImages":3,"arch":"aarch64",
                "firecrackerVersion":"v1.12.1","baseImageManifestPath":"/m.json",
                "baseImageManifestUrl":"https://me:secret@host/m.json?token=secret",
                "bucketUrl":"http://127.0.0.1:1/b","releaseUrl":"http://127.0.0.1:1/r"}"#,
        )
        .unwrap();
        assert_eq!(options.base_image_cache(), Path::new("/cache"));
        assert_eq!(options.max_stored_base_images.get(), 3);
        assert_eq!(options.firecracker_version, Some(ReleaseVersion::new(1, 12, 1)));
        assert!(!format!("{options:?}").contains("secret"), "{options:?}");
        for wrong in [r#"{"maxStoredBaseImages":0}"#, r#"{"maxStoredBaseImages":1.5}"#] {
            let error = serde_json::from_str::<SmartVmOptions>(wrong).unwrap_err();
            assert!(error.to_string().contains("at least 1"), "{error}");
        }
        let defaults = SmartVmOptions::default();
        assert_eq!(defaults.base_image_cache(), defaults.data_dir.join("base-images"));
        assert_eq!(defaults.max_stored_base_images.get(), 2);
    }
}
