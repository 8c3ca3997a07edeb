//! The name of a device within its VM.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::InvalidValue;

/// Names a drive, a pmem device or a network interface: one or more of `A-Z a-z 0-9 _`.
///
/// It is a part of the request's path, where nothing else may stand.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceId(String);

impl DeviceId {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DeviceId {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for DeviceId {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, InvalidValue> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if !text.is_empty() && text.bytes().all(plain) {
            return Ok(Self(text));
        }
        Err(InvalidValue::new("a device's id", text, "it must be letters, digits and `_`"))
    }
}

impl From<DeviceId> for String {
    fn from(id: DeviceId) -> Self {
        id.0
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq<str> for DeviceId {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for DeviceId {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_stand_in_a_path_is_a_name() {
        for good in ["rootfs", "a", "A_0", "_"] {
            assert_eq!(good.parse::<DeviceId>().unwrap(), good);
        }
        for bad in ["", "a-b", "a/b", "a b", "../x", "é", "a\n", "a?x"] {
            assert!(bad.parse::<DeviceId>().is_err(), "{bad:?}");
            assert!(serde_json::from_value::<DeviceId>(bad.into()).is_err(), "{bad:?}");
        }
    }
}
