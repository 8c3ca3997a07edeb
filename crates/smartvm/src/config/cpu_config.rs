//! Which features of the processor the guest sees.

use serde::{Deserialize, Serialize};

use super::invalid::Breaches;
use super::number;

/// A custom CPU template. Firecracker's own template files, with keys in snake_case, can be put here
/// as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CpuConfig {
    /// Capabilities of KVM to require as well (`"121"`) or no longer (`"!121"`).
    #[serde(default, alias = "kvm_capabilities", skip_serializing_if = "Vec::is_empty")]
    pub kvm_capabilities: Vec<String>,
    /// Changes of CPUID leaves (x86_64).
    #[serde(default, alias = "cpuid_modifiers", skip_serializing_if = "Vec::is_empty")]
    pub cpuid_modifiers: Vec<CpuidLeafModifierConfig>,
    /// Changes of model-specific registers (x86_64).
    #[serde(default, alias = "msr_modifiers", skip_serializing_if = "Vec::is_empty")]
    pub msr_modifiers: Vec<RegisterModifierConfig>,
    /// Changes of registers (aarch64).
    #[serde(default, alias = "reg_modifiers", skip_serializing_if = "Vec::is_empty")]
    pub reg_modifiers: Vec<RegisterModifierConfig>,
    /// Changes of the features that KVM gives a virtual processor (aarch64).
    #[serde(default, alias = "vcpu_features", skip_serializing_if = "Vec::is_empty")]
    pub vcpu_features: Vec<VcpuFeaturesConfig>,
}

/// Changes of one leaf of CPUID.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CpuidLeafModifierConfig {
    /// The leaf, such as `0x1`.
    pub leaf: String,
    /// The leaf's part, such as `0x0`.
    pub subleaf: String,
    /// KVM's flags for the leaf; 1 says that the subleaf matters.
    pub flags: u32,
    /// The changes of its four registers.
    pub modifiers: Vec<CpuidRegisterModifierConfig>,
}

/// A change of one register of a leaf.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CpuidRegisterModifierConfig {
    /// `eax`, `ebx`, `ecx` or `edx`.
    pub register: String,
    /// `0b` and a character a bit: `0` clears it, `1` sets it, `x` leaves it.
    pub bitmap: String,
}

/// A change of one register.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegisterModifierConfig {
    /// The register, such as `0x10a`.
    pub addr: String,
    /// `0b` and a character a bit: `0` clears it, `1` sets it, `x` leaves it.
    pub bitmap: String,
}

/// A change of one word of features.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VcpuFeaturesConfig {
    /// The word's place.
    pub index: u32,
    /// `0b` and a character a bit: `0` clears it, `1` sets it, `x` leaves it.
    pub bitmap: String,
}

impl CpuConfig {
    pub(crate) fn check(&self, breaches: &mut Breaches) {
        let mut check = Check(breaches);
        let caps = self.kvm_capabilities.iter().enumerate();
        caps.for_each(|(i, cap)| check.capability(format!("cpuConfig.kvmCapabilities[{i}]"), cap));
        check.only_on("x86_64", "cpuidModifiers", self.cpuid_modifiers.is_empty());
        for (i, leaf) in self.cpuid_modifiers.iter().enumerate() {
            let at = format!("cpuConfig.cpuidModifiers[{i}]");
            check.number(format!("{at}.leaf"), &leaf.leaf, 32);
            check.number(format!("{at}.subleaf"), &leaf.subleaf, 32);
            for (i, change) in leaf.modifiers.iter().enumerate() {
                check.0.require(
                    ["eax", "ebx", "ecx", "edx"].contains(&change.register.as_str()),
                    format!("{at}.modifiers[{i}].register"),
                    "must be eax, ebx, ecx or edx",
                );
                check.bitmap(format!("{at}.modifiers[{i}].bitmap"), &change.bitmap, 32);
            }
        }
        check.only_on("x86_64", "msrModifiers", self.msr_modifiers.is_empty());
        check.registers("msrModifiers", &self.msr_modifiers, 32, 64);
        check.only_on("aarch64", "regModifiers", self.reg_modifiers.is_empty());
        check.registers("regModifiers", &self.reg_modifiers, 64, 128);
        check.only_on("aarch64", "vcpuFeatures", self.vcpu_features.is_empty());
        for (i, word) in self.vcpu_features.iter().enumerate() {
            check.bitmap(format!("cpuConfig.vcpuFeatures[{i}].bitmap"), &word.bitmap, 32);
        }
    }
}

/// The rules of a template's values.
struct Check<'a>(&'a mut Breaches);

impl Check<'_> {
    fn only_on(&mut self, arch: &str, key: &str, is_empty: bool) {
        self.0.require(
            is_empty || std::env::consts::ARCH == arch,
            format!("cpuConfig.{key}"),
            &format!("is possible on {arch} only"),
        );
    }

    fn capability(&mut self, path: String, text: &str) {
        let digits = text.strip_prefix('!').unwrap_or(text);
        let is_number = digits.bytes().all(|b| b.is_ascii_digit()) && digits.parse::<u32>().is_ok();
        self.0.require(is_number, path, "must be a number, or `!` and a number");
    }

    fn registers(&mut self, key: &str, changes: &[RegisterModifierConfig], addr: u32, bits: u32) {
        for (i, change) in changes.iter().enumerate() {
            self.number(format!("cpuConfig.{key}[{i}].addr"), &change.addr, addr);
            self.bitmap(format!("cpuConfig.{key}[{i}].bitmap"), &change.bitmap, bits);
        }
    }

    fn number(&mut self, path: String, text: &str, bits: u32) {
        self.0.require(
            number::parse(text, bits).is_some(),
            path,
            &format!("must be a number of {bits} bits: hex (0x…), binary (0b…) or decimal"),
        );
    }

    fn bitmap(&mut self, path: String, text: &str, bits: u32) {
        self.0.require(
            number::is_bitmap(text, bits),
            path,
            &format!("must be `0b` and up to {bits} of `0`, `1` and `x`"),
        );
    }
}
