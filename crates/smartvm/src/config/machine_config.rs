//! Processors and memory.

use serde::{Deserialize, Serialize};
use smartvm_firecracker::api::{CpuTemplate, HugePages, MachineConfiguration, VcpuCount};

use super::invalid::Breaches;

/// The machine that the guest sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MachineConfig {
    /// Virtual processors, 1 to 32; with `smt` 1 or an even number.
    pub vcpu_count: u32,
    /// Guest memory in MiB, at least 1 and at most what the host has.
    pub mem_size_mib: u64,
    /// Whether two virtual processors share a core (x86_64 only). Firecracker's default is no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smt: Option<bool>,
    /// A static CPU template, which Firecracker deprecates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_template: Option<CpuTemplate>,
    /// Whether written pages are tracked for differential snapshots. Firecracker's default is no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track_dirty_pages: Option<bool>,
    /// The pages that back guest memory. Firecracker's default is ordinary ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub huge_pages: Option<HugePages>,
}

impl MachineConfig {
    /// The most virtual processors that Firecracker gives a VM (`MAX_SUPPORTED_VCPUS`).
    pub const MAX_VCPUS: u32 = 32;

    /// One processor and 128 MiB: Firecracker's own machine when none is configured.
    #[must_use]
    pub fn new(vcpu_count: u32, mem_size_mib: u64) -> Self {
        Self {
            vcpu_count,
            mem_size_mib,
            smt: None,
            cpu_template: None,
            track_dirty_pages: None,
            huge_pages: None,
        }
    }

    pub(crate) fn check(&self, breaches: &mut Breaches) {
        breaches.require(
            (1..=Self::MAX_VCPUS).contains(&self.vcpu_count),
            "machineConfig.vcpuCount",
            "must be between 1 and 32",
        );
        breaches.require(self.mem_size_mib >= 1, "machineConfig.memSizeMib", "must be >= 1");
        if self.smt == Some(true) {
            breaches.require(
                cfg!(target_arch = "x86_64"),
                "machineConfig.smt",
                "is possible on x86_64 only",
            );
            breaches.require(
                self.vcpu_count == 1 || self.vcpu_count.is_multiple_of(2),
                "machineConfig.vcpuCount",
                "must be 1 or even when smt is on",
            );
        }
        if !matches!(self.huge_pages, None | Some(HugePages::None)) {
            breaches.require(
                self.mem_size_mib.is_multiple_of(2),
                "machineConfig.memSizeMib",
                "must be even with hugePages",
            );
        }
        let for_this_processor = match self.cpu_template {
            None | Some(CpuTemplate::None) => true,
            Some(CpuTemplate::V1N1) => cfg!(target_arch = "aarch64"),
            Some(_) => cfg!(target_arch = "x86_64"),
        };
        breaches.require(
            for_this_processor,
            "machineConfig.cpuTemplate",
            "is for another kind of processor",
        );
    }

    pub(crate) fn to_wire(&self) -> MachineConfiguration {
        MachineConfiguration {
            vcpu_count: u8::try_from(self.vcpu_count)
                .ok()
                .and_then(|count| VcpuCount::try_from(count).ok())
                .expect("a checked machine has 1 to 32 processors"),
            mem_size_mib: self.mem_size_mib,
            smt: self.smt,
            cpu_template: self.cpu_template,
            track_dirty_pages: self.track_dirty_pages,
            huge_pages: self.huge_pages,
        }
    }
}

impl Default for MachineConfig {
    fn default() -> Self {
        Self::new(1, 128)
    }
}
