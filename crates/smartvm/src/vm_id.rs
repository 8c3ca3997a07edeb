//! The name of a virtual machine on one host.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Names a virtual machine: 1 to 64 of `A-Z a-z 0-9 . _ -`, starting with a letter or digit.
///
/// The id is also the name of the VM's directory below the runtime directory, so it can never
/// contain a separator or be `.` or `..`. The length is Firecracker's own limit for `--id`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VmId(String);

impl VmId {
    /// The longest id, in bytes: Firecracker's `MAX_INSTANCE_ID_LEN`.
    pub const MAX_LEN: usize = 64;

    /// Makes a fresh random id (a version 4 UUID).
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4().to_string())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id in the form that Firecracker's `--id` accepts, which knows neither `.` nor `_`.
    pub(crate) fn to_instance_id(&self) -> String {
        self.0.replace(['.', '_'], "-")
    }
}

impl FromStr for VmId {
    type Err = InvalidVmId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |rule| InvalidVmId { id: text.chars().take(80).collect(), rule };
        let Some(first) = text.chars().next() else {
            return Err(invalid("must not be empty"));
        };
        if text.len() > Self::MAX_LEN {
            return Err(invalid("must have at most 64 characters"));
        }
        if !text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')) {
            return Err(invalid("must consist of letters, digits, `.`, `_` and `-`"));
        }
        if !first.is_ascii_alphanumeric() {
            return Err(invalid("must start with a letter or digit"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for VmId {
    type Error = InvalidVmId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<VmId> for String {
    fn from(id: VmId) -> Self {
        id.0
    }
}

impl fmt::Display for VmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that cannot name a virtual machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("VM id {id:?} {rule}")]
pub struct InvalidVmId {
    /// The refused text, cut to 80 characters.
    pub id: String,
    /// The rule that it breaks.
    pub rule: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_name_a_plain_directory_are_accepted() {
        let longest = "a".repeat(VmId::MAX_LEN);
        for id in ["a", "ephemeral-vm", "smartvm-it-1714", "A.b_c-9", longest.as_str()] {
            assert_eq!(id.parse::<VmId>().unwrap().as_str(), id);
        }
    }

    #[test]
    fn ids_that_could_leave_their_directory_are_refused() {
        let too_long = "a".repeat(VmId::MAX_LEN + 1);
        for id in
            ["", ".", "..", "../x", "a/b", "/a", "a\0b", "-rf", ".hidden", "ü", "a b", &too_long]
        {
            assert!(id.parse::<VmId>().is_err(), "{id:?} was accepted");
        }
    }

    #[test]
    fn the_instance_id_knows_only_what_firecracker_accepts() {
        assert_eq!("a.b_c-d".parse::<VmId>().unwrap().to_instance_id(), "a-b-c-d");
    }
}
