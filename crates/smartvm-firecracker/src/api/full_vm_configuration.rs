//! `GET /vm/config`.

use serde::{Deserialize, Serialize};

use super::{
    Balloon, BootSource, CpuConfig, Drive, EntropyDevice, Logger, MachineConfiguration,
    MemoryHotplugConfig, Metrics, MmdsConfig, NetworkInterface, Pmem, Vsock,
};

/// All that was configured. After a snapshot was loaded, what boots the guest is empty in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FullVmConfiguration {
    /// The balloon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balloon: Option<Balloon>,
    /// The drives.
    #[serde(default)]
    pub drives: Vec<Drive>,
    /// What the guest boots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_source: Option<BootSource>,
    /// The changes to the processors' features. Since 1.10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_config: Option<CpuConfig>,
    /// Firecracker's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logger: Option<Logger>,
    /// Processors and memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_config: Option<MachineConfiguration>,
    /// Firecracker's metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
    /// Memory that can be plugged. Since 1.14.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_hotplug: Option<MemoryHotplugConfig>,
    /// The metadata service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mmds_config: Option<MmdsConfig>,
    /// The network interfaces.
    #[serde(default)]
    pub network_interfaces: Vec<NetworkInterface>,
    /// The persistent memory devices. Since 1.14.
    #[serde(default)]
    pub pmem: Vec<Pmem>,
    /// The vsock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vsock: Option<Vsock>,
    /// The source of random bytes. Since 1.10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entropy: Option<EntropyDevice>,
}
