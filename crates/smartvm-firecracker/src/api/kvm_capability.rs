//! A capability of KVM in a processor template.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::InvalidValue;

/// Whether Firecracker shall demand a capability of KVM, by its number: `121`, or `!121`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum KvmCapability {
    /// It refuses to start without.
    Demand(u32),
    /// It starts without.
    Waive(u32),
}

impl FromStr for KvmCapability {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let (digits, make): (_, fn(u32) -> Self) = match text.strip_prefix('!') {
            Some(digits) => (digits, Self::Waive),
            None => (text, Self::Demand),
        };
        let number = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok());
        number.flatten().map(make).ok_or_else(|| {
            InvalidValue::new("a KVM capability", text, "it must be a number, or `!` and a number")
        })
    }
}

impl TryFrom<String> for KvmCapability {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, InvalidValue> {
        text.parse()
    }
}

impl From<KvmCapability> for String {
    fn from(capability: KvmCapability) -> Self {
        capability.to_string()
    }
}

impl fmt::Display for KvmCapability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Demand(number) => write!(f, "{number}"),
            Self::Waive(number) => write!(f, "!{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capability_is_demanded_or_waived() {
        assert_eq!("121".parse(), Ok(KvmCapability::Demand(121)));
        assert_eq!("!121".parse(), Ok(KvmCapability::Waive(121)));
        assert_eq!(KvmCapability::Waive(7).to_string(), "!7");
        for bad in ["", "!", "-1", "+1", "!!1", "x", "4294967296"] {
            assert!(bad.parse::<KvmCapability>().is_err(), "{bad:?}");
        }
    }
}
