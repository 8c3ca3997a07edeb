//! A configuration that was found valid.

use smartvm_firecracker::api::{BootSource, MachineConfiguration};

use super::drive::DriveConfig;
use super::vm_config::VmConfig;
use crate::vm_id::VmId;

/// What a VM is made of, every rule that needs no look at the host already checked.
#[derive(Debug, Clone)]
pub struct VmSpec {
    pub(crate) id: VmId,
    config: VmConfig,
    pub(crate) boot_source: BootSource,
    pub(crate) machine: MachineConfiguration,
    pub(crate) drives: Vec<DriveSpec>,
}

impl VmSpec {
    /// The specification of a configuration that breaks no rule.
    pub(super) fn of(id: VmId, config: &VmConfig) -> Self {
        let mut drives: Vec<_> =
            config.drives.iter().map(|config| DriveSpec { config: config.clone() }).collect();
        drives.sort_by_key(|drive| !drive.config.is_root_device);
        Self {
            id,
            boot_source: config.boot_source.to_wire(),
            machine: config.machine_config.to_wire(),
            drives,
            config: config.clone(),
        }
    }

    /// The configuration that was found valid.
    #[must_use]
    pub fn config(&self) -> &VmConfig {
        &self.config
    }

    /// The VM's id: the configured one, or a random one.
    #[must_use]
    pub fn id(&self) -> &VmId {
        &self.id
    }

    /// The drives, root first, as Firecracker attaches them.
    #[must_use]
    pub fn drives(&self) -> &[DriveSpec] {
        &self.drives
    }
}

/// One validated drive.
#[derive(Debug, Clone)]
pub struct DriveSpec {
    pub(crate) config: DriveConfig,
}

impl DriveSpec {
    /// The drive as it was configured.
    #[must_use]
    pub fn config(&self) -> &DriveConfig {
        &self.config
    }

    /// The name of the private copy in the VM's `drives` directory: `<driveId>-<file>`.
    pub(crate) fn staged_name(&self) -> String {
        let file = self.config.path_on_host.file_name().map_or_else(
            || "drive.img".into(),
            |name| name.to_string_lossy().replace(|c: char| !is_plain(c), "_"),
        );
        let mut name = format!("{}-{file}", self.config.drive_id);
        // NAME_MAX is 255 bytes, and every character here is one byte.
        name.truncate(200);
        name
    }
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_private_copy_is_named_after_drive_and_file() {
        let name = |path: &str| {
            let config = DriveConfig {
                drive_id: "rootfs".into(),
                path_on_host: path.into(),
                ..DriveConfig::default()
            };
            DriveSpec { config }.staged_name()
        };
        assert_eq!(name("/images/disk.ext4"), "rootfs-disk.ext4");
        assert_eq!(name("/images/my disk é.img"), "rootfs-my_disk__.img");
        assert_eq!(name("/images/.."), "rootfs-drive.img");
        assert!(name(&format!("/{}", "x".repeat(255))).len() <= 200);
    }
}
