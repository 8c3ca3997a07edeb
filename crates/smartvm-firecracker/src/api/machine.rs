//! `GET`, `PUT` and `PATCH /machine-config`.

use serde::{Deserialize, Serialize};

use super::VcpuCount;

/// The guest's processors and memory. Changed before boot only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineConfiguration {
    /// With `smt` 1 or an even number.
    pub vcpu_count: VcpuCount,
    /// MiB of memory, more than 0; even with [`HugePages::TwoMib`].
    pub mem_size_mib: u64,
    /// Whether two processors share a core (x86_64 only); Firecracker's default is no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smt: Option<bool>,
    /// A static template of processor features; deprecated by Firecracker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_template: Option<CpuTemplate>,
    /// Whether KVM notes changed pages, for small diff snapshots; Firecracker's default is no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track_dirty_pages: Option<bool>,
    /// What backs the guest's memory; Firecracker's default is [`HugePages::None`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub huge_pages: Option<HugePages>,
}

impl MachineConfiguration {
    /// So many processors and MiB of memory, all else as Firecracker has it by default.
    #[must_use]
    pub const fn new(vcpu_count: VcpuCount, mem_size_mib: u64) -> Self {
        Self {
            vcpu_count,
            mem_size_mib,
            smt: None,
            cpu_template: None,
            track_dirty_pages: None,
            huge_pages: None,
        }
    }
}

/// Changes to the guest's processors and memory; what is absent stays. Before boot only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineConfigurationUpdate {
    /// With `smt` 1 or an even number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vcpu_count: Option<VcpuCount>,
    /// MiB of memory, more than 0; even with [`HugePages::TwoMib`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mem_size_mib: Option<u64>,
    /// Whether two processors share a core (x86_64 only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smt: Option<bool>,
    /// A static template of processor features; deprecated by Firecracker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_template: Option<CpuTemplate>,
    /// Whether KVM notes changed pages, for small diff snapshots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track_dirty_pages: Option<bool>,
    /// What backs the guest's memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub huge_pages: Option<HugePages>,
}

/// A static set of processor features. The name says for whom: C3 and T2… for Intel, T2A for AMD,
/// V1N1 for aarch64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are Firecracker's and stand for themselves")]
pub enum CpuTemplate {
    C3,
    T2,
    T2S,
    T2CL,
    T2A,
    V1N1,
    None,
}

/// What backs the guest's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HugePages {
    /// Ordinary pages.
    None,
    /// Transparent huge pages, since Firecracker 1.17.
    Transparent,
    /// Pages of 2 MiB from the host's hugetlbfs pool, which must be large enough.
    #[serde(rename = "2M")]
    TwoMib,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn huge_pages_are_spelt_as_firecracker_spells_them() {
        let machine = MachineConfiguration {
            cpu_template: Some(CpuTemplate::T2CL),
            huge_pages: Some(HugePages::TwoMib),
            ..MachineConfiguration::new(2.try_into().unwrap(), 256)
        };
        assert_eq!(
            serde_json::to_value(machine).unwrap(),
            serde_json::json!({
                "vcpu_count": 2, "mem_size_mib": 256, "cpu_template": "T2CL", "huge_pages": "2M",
            })
        );
    }
}
