//! The configuration file of one VM.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::boot_source::BootSourceConfig;
use super::drive::DriveConfig;
use super::invalid::{Breaches, InvalidConfig};
use super::machine_config::MachineConfig;
use super::spec::{DriveSpec, VmSpec};
use crate::jail::JailConfig;
use crate::vm_id::VmId;

/// What a VM is made of, as written down; the JSON form has the same names in camelCase.
///
/// The value is a copy: a later change of whatever it was made from has no effect on it.
///
/// ```
/// let config = smartvm::VmConfig::from_json(r#"{
///     "id": "web-1",
///     "bootSource": { "kernelImagePath": "/images/vmlinux", "bootArgs": "console=ttyS0" },
///     "machineConfig": { "vcpuCount": 2, "memSizeMib": 256 },
///     "drives": [{ "driveId": "rootfs", "pathOnHost": "/images/root.ext4", "isRootDevice": true }]
/// }"#)?;
/// assert_eq!(config.validate()?.id().as_str(), "web-1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VmConfig {
    /// The VM's id; absent, it gets a random UUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Kernel, initial RAM disk and command line.
    #[serde(default)]
    pub boot_source: BootSourceConfig,
    /// Processors and memory.
    #[serde(default)]
    pub machine_config: MachineConfig,
    /// Block devices, in the order in which the guest sees them; the root drive always comes first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drives: Vec<DriveConfig>,
    /// How it is kept apart from the host.
    #[serde(default, skip_serializing_if = "JailConfig::is_empty")]
    pub jail: JailConfig,
}

impl VmConfig {
    /// Checks every rule that needs no look at the host.
    ///
    /// # Errors
    /// Every broken rule at once, code `INVALID_CONFIG`.
    pub fn validate(&self) -> Result<VmSpec, InvalidConfig> {
        let mut breaches = Breaches::default();
        let id = match self.id.as_deref().map(str::parse::<VmId>) {
            None => VmId::random(),
            Some(Ok(id)) => id,
            Some(Err(invalid)) => {
                breaches.add("id", invalid.rule);
                VmId::random()
            }
        };
        self.boot_source.check(&mut breaches);
        self.machine_config.check(&mut breaches);
        self.check_drives(&mut breaches);
        self.jail.check(&mut breaches);
        breaches.into_result()?;

        let mut drives: Vec<_> =
            self.drives.iter().map(|config| DriveSpec { config: config.clone() }).collect();
        drives.sort_by_key(|drive| !drive.config.is_root_device);
        Ok(VmSpec {
            id,
            boot_source: self.boot_source.to_wire(),
            machine: self.machine_config.to_wire(),
            drives,
            jail: self.jail.clone(),
        })
    }

    fn check_drives(&self, breaches: &mut Breaches) {
        let mut seen = HashSet::new();
        for (index, drive) in self.drives.iter().enumerate() {
            drive.check(index, breaches);
            breaches.require(
                seen.insert(&drive.drive_id),
                format!("drives[{index}].driveId"),
                "must be unique",
            );
        }
        breaches.require(
            self.drives.iter().filter(|drive| drive.is_root_device).count() <= 1,
            "drives",
            "must have at most one root device",
        );
    }
}

#[cfg(test)]
mod tests;
