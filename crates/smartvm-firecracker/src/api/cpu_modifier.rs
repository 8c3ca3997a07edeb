//! The single changes of a processor template.

use serde::{Deserialize, Serialize};

use super::{RegisterBitmap, number_text};

/// A change to what one leaf of CPUID answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuidLeafModifier {
    /// The leaf.
    #[serde(with = "number_text")]
    pub leaf: u32,
    /// The subleaf.
    #[serde(with = "number_text")]
    pub subleaf: u32,
    /// KVM's flags for the leaf, such as 1 where the subleaf matters.
    pub flags: u32,
    /// The registers that change.
    pub modifiers: Vec<CpuidRegisterModifier>,
}

/// A change to one register of CPUID's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuidRegisterModifier {
    /// The register.
    pub register: CpuidRegister,
    /// The bits that change.
    pub bitmap: RegisterBitmap<32>,
}

/// A register of CPUID's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are the processor's and stand for themselves")]
pub enum CpuidRegister {
    Eax,
    Ebx,
    Ecx,
    Edx,
}

/// A change to one model-specific register of x86_64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MsrModifier {
    /// The register.
    #[serde(with = "number_text")]
    pub addr: u32,
    /// The bits that change.
    pub bitmap: RegisterBitmap<64>,
}

/// A change to one register of aarch64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmRegisterModifier {
    /// The register, as KVM numbers it; at most 128 bits wide.
    #[serde(with = "number_text")]
    pub addr: u64,
    /// The bits that change.
    pub bitmap: RegisterBitmap<128>,
}

/// A change to the features that an aarch64 processor is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VcpuFeatures {
    /// Which of KVM's words of features.
    pub index: u32,
    /// The bits that change.
    pub bitmap: RegisterBitmap<32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_bitmaps_are_sent_as_text() {
        let modifier = CpuidLeafModifier {
            leaf: 7,
            subleaf: 0,
            flags: 1,
            modifiers: vec![CpuidRegisterModifier {
                register: CpuidRegister::Ebx,
                bitmap: "0b0".parse().unwrap(),
            }],
        };
        let bits = format!("0b{}0", "x".repeat(31));
        let json = serde_json::json!({
            "leaf": "0x7", "subleaf": "0x0", "flags": 1,
            "modifiers": [{"register": "ebx", "bitmap": bits}],
        });
        assert_eq!(serde_json::to_value(&modifier).unwrap(), json);
        assert_eq!(serde_json::from_value::<CpuidLeafModifier>(json).unwrap(), modifier);
    }
}
