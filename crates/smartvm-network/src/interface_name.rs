//! The name of a network device of the host.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a network device: 1 to 15 letters, digits, `_`, `.`, `:` or `-`, the first a letter
/// or digit. Such a name can be given to the kernel, to a command line and to a path. `all` and `default` are
/// none: the kernel's settings of that name are those of all devices.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InterfaceName(String);

/// A text that is no name of a network device. Code `INVALID_INTERFACE_NAME`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` cannot be the name of a network device: that is 1 to 15 letters, digits, `_`, `.`, `:` or \
     `-`, the first a letter or digit, but not `all` or `default`",
    name.escape_debug()
)]
pub struct InvalidInterfaceName {
    name: String,
}

impl InvalidInterfaceName {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "INVALID_INTERFACE_NAME"
    }
}

impl InterfaceName {
    /// The name of the bridge where none is chosen.
    #[must_use]
    pub fn default_bridge() -> Self {
        Self("svbr0".to_owned())
    }

    /// As the kernel takes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InterfaceName {
    type Err = InvalidInterfaceName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        // `IFNAMSIZ` is 16 with its final zero.
        let valid = (1..=15).contains(&name.len())
            && !["all", "default"].contains(&name)
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-'));
        if valid {
            Ok(Self(name.to_owned()))
        } else {
            Err(InvalidInterfaceName { name: name.to_owned() })
        }
    }
}

impl TryFrom<String> for InterfaceName {
    type Error = InvalidInterfaceName;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

impl From<InterfaceName> for String {
    fn from(name: InterfaceName) -> Self {
        name.0
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_the_kernel_and_a_command_line_take() {
        for name in ["svbr0", "a", "svtap-web_1.0:2", "0tap", "fifteen-letters"] {
            assert_eq!(name.parse::<InterfaceName>().unwrap().as_str(), name);
        }
        for name in [
            "",
            "all",
            "default",
            "sixteen--letters",
            "-tap",
            ".",
            "..",
            "a/b",
            "a b",
            "é",
            "tap\n",
        ] {
            let error = name.parse::<InterfaceName>().unwrap_err();
            assert_eq!(error.code(), "INVALID_INTERFACE_NAME", "{name}");
        }
    }
}
