//! `PUT /cpu-config`.

use serde::{Deserialize, Serialize};

use super::{ArmRegisterModifier, CpuidLeafModifier, KvmCapability, MsrModifier, VcpuFeatures};

/// Changes to the features that the guest's processors show. Before boot only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuConfig {
    /// Capabilities of KVM that are to be demanded or not, beside those that Firecracker demands.
    /// Since 1.11.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kvm_capabilities: Vec<KvmCapability>,
    /// Changes to what CPUID answers; x86_64 only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cpuid_modifiers: Vec<CpuidLeafModifier>,
    /// Changes to model-specific registers; x86_64 only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub msr_modifiers: Vec<MsrModifier>,
    /// Changes to registers; aarch64 only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reg_modifiers: Vec<ArmRegisterModifier>,
    /// Changes to the features that a processor is made with; aarch64 only. Since 1.11.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vcpu_features: Vec<VcpuFeatures>,
}
