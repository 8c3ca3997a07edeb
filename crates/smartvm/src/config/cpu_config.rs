//! Which features of the processor the guest sees.

use serde::{Deserialize, Serialize};

use smartvm_firecracker::api::{
    self, ArmRegisterModifier, CpuidLeafModifier, CpuidRegister, CpuidRegisterModifier,
    KvmCapability, MsrModifier, RegisterBitmap, VcpuFeatures,
};

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
    /// Firecracker's form, once the check found nothing.
    pub(crate) fn to_wire(&self) -> api::CpuConfig {
        let msr = |change: &RegisterModifierConfig| MsrModifier {
            addr: number(&change.addr),
            bitmap: bitmap(&change.bitmap),
        };
        let reg = |change: &RegisterModifierConfig| ArmRegisterModifier {
            addr: number(&change.addr),
            bitmap: bitmap(&change.bitmap),
        };
        let features = |change: &VcpuFeaturesConfig| VcpuFeatures {
            index: change.index,
            bitmap: bitmap(&change.bitmap),
        };
        let capability = |text: &String| text.parse().expect("a checked capability can be read");
        api::CpuConfig {
            kvm_capabilities: self.kvm_capabilities.iter().map(capability).collect(),
            cpuid_modifiers: self
                .cpuid_modifiers
                .iter()
                .map(CpuidLeafModifierConfig::to_wire)
                .collect(),
            msr_modifiers: self.msr_modifiers.iter().map(msr).collect(),
            reg_modifiers: self.reg_modifiers.iter().map(reg).collect(),
            vcpu_features: self.vcpu_features.iter().map(features).collect(),
        }
    }

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
                    register(&change.register).is_some(),
                    format!("{at}.modifiers[{i}].register"),
                    "must be eax, ebx, ecx or edx",
                );
                check.bitmap::<32>(format!("{at}.modifiers[{i}].bitmap"), &change.bitmap);
            }
        }
        check.only_on("x86_64", "msrModifiers", self.msr_modifiers.is_empty());
        check.registers::<64>("msrModifiers", &self.msr_modifiers, 32);
        check.only_on("aarch64", "regModifiers", self.reg_modifiers.is_empty());
        check.registers::<128>("regModifiers", &self.reg_modifiers, 64);
        check.only_on("aarch64", "vcpuFeatures", self.vcpu_features.is_empty());
        for (i, word) in self.vcpu_features.iter().enumerate() {
            check.bitmap::<32>(format!("cpuConfig.vcpuFeatures[{i}].bitmap"), &word.bitmap);
        }
    }
}

impl CpuidLeafModifierConfig {
    fn to_wire(&self) -> CpuidLeafModifier {
        let modifiers = self.modifiers.iter().map(|change| CpuidRegisterModifier {
            register: register(&change.register).expect("a checked register has one of four names"),
            bitmap: bitmap(&change.bitmap),
        });
        CpuidLeafModifier {
            leaf: number(&self.leaf),
            subleaf: number(&self.subleaf),
            flags: self.flags,
            modifiers: modifiers.collect(),
        }
    }
}

fn register(name: &str) -> Option<CpuidRegister> {
    match name {
        "eax" => Some(CpuidRegister::Eax),
        "ebx" => Some(CpuidRegister::Ebx),
        "ecx" => Some(CpuidRegister::Ecx),
        "edx" => Some(CpuidRegister::Edx),
        _ => None,
    }
}

fn number<N: TryFrom<u64>>(text: &str) -> N {
    let number = number::parse(text).and_then(|number| N::try_from(number).ok());
    number.expect("a checked number fits")
}

fn bitmap<const BITS: usize>(text: &str) -> RegisterBitmap<BITS> {
    text.parse().expect("a checked bitmap fits")
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
        let is_capability = text.parse::<KvmCapability>().is_ok();
        self.0.require(is_capability, path, "must be a number, or `!` and a number");
    }

    fn registers<const BITS: usize>(
        &mut self,
        key: &str,
        changes: &[RegisterModifierConfig],
        addr_bits: u32,
    ) {
        for (i, change) in changes.iter().enumerate() {
            self.number(format!("cpuConfig.{key}[{i}].addr"), &change.addr, addr_bits);
            self.bitmap::<BITS>(format!("cpuConfig.{key}[{i}].bitmap"), &change.bitmap);
        }
    }

    fn number(&mut self, path: String, text: &str, bits: u32) {
        self.0.require(
            number::parse(text).is_some_and(|number| bits >= 64 || number >> bits == 0),
            path,
            &format!("must be a number of {bits} bits: hex (0x…), binary (0b…) or decimal"),
        );
    }

    fn bitmap<const BITS: usize>(&mut self, path: String, text: &str) {
        self.0.require(
            text.parse::<RegisterBitmap<BITS>>().is_ok(),
            path,
            &format!("must be `0b` and up to {BITS} of `0`, `1` and `x`"),
        );
    }
}
