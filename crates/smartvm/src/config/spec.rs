//! A configuration that was found valid.

use smartvm_firecracker::api::{self, MachineConfiguration};

use super::balloon::BalloonConfig;
use super::cpu_config::CpuConfig;
use super::drive::DriveConfig;
use super::entropy::EntropyConfig;
use super::managed_interface::ManagedInterface;
use super::memory_hotplug::MemoryHotplugConfig;
use super::mmds::MmdsConfig;
use super::network_interface::NetworkInterfaceConfig;
use super::vm_config::VmConfig;
use crate::vm_id::VmId;

/// What a VM is made of, every rule that needs no look at the host already checked.
///
/// What names files of the host is left as it was configured: the names that Firecracker knows them
/// by are made at the start.
#[derive(Debug, Clone)]
pub struct VmSpec {
    pub(crate) id: VmId,
    config: VmConfig,
    pub(crate) machine: MachineConfiguration,
    pub(crate) cpu_config: Option<api::CpuConfig>,
    pub(crate) drives: Vec<DriveSpec>,
    pub(crate) network_interfaces: Vec<api::NetworkInterface>,
    pub(crate) managed_interfaces: Vec<ManagedInterface>,
    pub(crate) balloon: Option<api::Balloon>,
    pub(crate) mmds: Option<api::MmdsConfig>,
    pub(crate) entropy: Option<api::EntropyDevice>,
    pub(crate) memory_hotplug: Option<api::MemoryHotplugConfig>,
}

impl VmSpec {
    /// The specification of a configuration that breaks no rule.
    pub(super) fn of(id: VmId, config: &VmConfig) -> Self {
        let mut drives: Vec<_> =
            config.drives.iter().map(|config| DriveSpec { config: config.clone() }).collect();
        drives.sort_by_key(|drive| !drive.config.is_root_device);
        let interfaces = || config.network_interfaces.iter();
        Self {
            id,
            machine: config.machine_config.to_wire(),
            cpu_config: config.cpu_config.as_ref().map(CpuConfig::to_wire),
            drives,
            network_interfaces: interfaces().map(NetworkInterfaceConfig::to_wire).collect(),
            managed_interfaces: interfaces().filter_map(ManagedInterface::of).collect(),
            balloon: config.balloon.as_ref().map(BalloonConfig::to_wire),
            mmds: config.mmds.as_ref().map(MmdsConfig::to_wire),
            entropy: config.entropy.as_ref().map(EntropyConfig::to_wire),
            memory_hotplug: config.memory_hotplug.as_ref().map(MemoryHotplugConfig::to_wire),
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

    /// How many devices the guest will see.
    pub(crate) fn device_count(&self) -> usize {
        let one = |is_there: bool| usize::from(is_there);
        self.drives.len()
            + self.config.pmem.len()
            + self.network_interfaces.len()
            + one(self.config.vsock.is_some())
            + one(self.balloon.is_some())
            + one(self.entropy.is_some())
            + one(self.memory_hotplug.is_some())
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
