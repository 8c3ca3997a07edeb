//! The configuration file of one VM.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::balloon::BalloonConfig;
use super::boot_source::BootSourceConfig;
use super::cpu_config::CpuConfig;
use super::drive::{self, DriveConfig};
use super::entropy::EntropyConfig;
use super::invalid::{Breaches, InvalidConfig};
use super::logger::LoggerConfig;
use super::machine_config::MachineConfig;
use super::memory_hotplug::MemoryHotplugConfig;
use super::metrics::MetricsConfig;
use super::mmds::MmdsConfig;
use super::network_interface::{self, NetworkInterfaceConfig};
use super::pmem::{self, PmemConfig};
use super::serial::SerialConfig;
use super::spec::VmSpec;
use super::vsock::VsockConfig;
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
    /// Processor features.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_config: Option<CpuConfig>,
    /// Block devices, in the order in which the guest sees them; the root drive always comes first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drives: Vec<DriveConfig>,
    /// How it is kept apart from the host.
    #[serde(default, skip_serializing_if = "JailConfig::is_empty")]
    pub jail: JailConfig,
    /// Persistent memory devices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pmem: Vec<PmemConfig>,
    /// Network devices, in the order in which the guest sees them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub network_interfaces: Vec<NetworkInterfaceConfig>,
    /// The socket between guest and host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vsock: Option<VsockConfig>,
    /// Memory that the guest gives back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balloon: Option<BalloonConfig>,
    /// What the guest can look up about itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mmds: Option<MmdsConfig>,
    /// Random bytes for the guest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entropy: Option<EntropyConfig>,
    /// Where the guest's serial port leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<SerialConfig>,
    /// Memory that comes and goes while the guest runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_hotplug: Option<MemoryHotplugConfig>,
    /// A file that the guest's console is also written to: private, appended to, rotated before it
    /// exceeds [`SmartVmOptions::output_file_limit`](crate::SmartVmOptions::output_file_limit).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub console_file: Option<PathBuf>,
    /// Firecracker's own log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logger: Option<LoggerConfig>,
    /// Firecracker's counters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricsConfig>,
    /// Whether devices are on a PCI bus, which plugging them in later needs. Default: no, and each
    /// device has a place in memory (MMIO). Since Firecracker 1.13; the guest's kernel must know it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub enable_pci: bool,
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
        self.check(&mut breaches);
        breaches.into_result()?;
        Ok(VmSpec::of(id, self))
    }

    /// Every rule but that of the id.
    fn check(&self, breaches: &mut Breaches) {
        self.boot_source.check(self.enable_pci, breaches);
        self.machine_config.check(breaches);
        if let Some(cpu) = &self.cpu_config {
            cpu.check(breaches);
            breaches.require(
                self.machine_config.cpu_template.is_none(),
                "machineConfig.cpuTemplate",
                "must be absent beside cpuConfig",
            );
        }
        drive::check_all(&self.drives, breaches);
        pmem::check_all(&self.pmem, breaches);
        self.check_roots(breaches);
        network_interface::check_all(&self.network_interfaces, breaches);
        let managed = self.network_interfaces.iter().position(NetworkInterfaceConfig::is_managed);
        if let (Some(index), true) = (managed, self.jail.netns.is_some()) {
            let rule = "must be named beside jail.netns, where no TAP is made";
            breaches.add(format!("networkInterfaces[{index}].hostDevName"), rule);
        }
        if let Some(vsock) = &self.vsock {
            vsock.check(breaches);
        }
        if let Some(balloon) = &self.balloon {
            balloon.check(self.machine_config.mem_size_mib, breaches);
        }
        if let Some(mmds) = &self.mmds {
            mmds.check(&self.network_interfaces, breaches);
        }
        if let Some(entropy) = &self.entropy {
            entropy.check(breaches);
        }
        if let Some(serial) = &self.serial {
            serial.check(breaches);
        }
        if let Some(hotplug) = &self.memory_hotplug {
            hotplug.check(breaches);
        }
        self.jail.check(breaches);
        self.check_output_files(breaches);
        if let Some(logger) = &self.logger {
            logger.check(breaches);
        }
        if let Some(metrics) = &self.metrics {
            metrics.check(breaches);
        }
    }

    /// Each file is rotated by itself.
    fn check_output_files(&self, breaches: &mut Breaches) {
        let log = self.logger.as_ref().and_then(|logger| logger.log_path.as_ref());
        let metrics = self.metrics.as_ref().and_then(|metrics| metrics.metrics_path.as_ref());
        if let Some(console) = &self.console_file {
            breaches.require(!console.as_os_str().is_empty(), "consoleFile", "must not be empty");
            let is_own = Some(console) != log && Some(console) != metrics;
            breaches.require(is_own, "consoleFile", "must not be the log's or the metrics' file");
        }
        let differ = log.is_none() || log != metrics;
        breaches.require(differ, "logger.logPath", "must not be the metrics' file");
    }

    /// A guest boots from one device.
    fn check_roots(&self, breaches: &mut Breaches) {
        let drives = self.drives.iter().filter(|drive| drive.is_root_device).count();
        let pmem = self.pmem.iter().filter(|device| device.root_device).count();
        breaches.require(drives <= 1, "drives", "must have at most one root device");
        breaches.require(
            pmem <= 1_usize.saturating_sub(drives),
            "pmem",
            "must have at most one root device, and none beside a root drive",
        );
    }
}

#[cfg(test)]
mod payloads;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod tests;
