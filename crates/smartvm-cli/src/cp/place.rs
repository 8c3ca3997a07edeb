//! The syntax of `[VM:]PATH`.

use std::path::PathBuf;
use std::str::FromStr;

use smartvm::VmId;

/// One end of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A tar stream on standard input or output.
    Stream,
    /// A file of this host.
    Host(PathBuf),
    /// An absolute path in a guest.
    Guest {
        /// Whose.
        vm: VmId,
        /// The path.
        path: String,
    },
}

/// A text that is no place.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceSyntaxError {
    /// The part before the colon is no VM's.
    #[error(transparent)]
    Vm(#[from] smartvm::InvalidVmId),
    /// The guest's path is not absolute.
    #[error("the path in a guest must begin with /, as in VM:/PATH")]
    Relative,
}

impl FromStr for Place {
    type Err = PlaceSyntaxError;

    /// As docker's: what has a slash before its first colon is a path of this host.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "-" {
            return Ok(Self::Stream);
        }
        match text.split_once(':') {
            Some((vm, path)) if !vm.contains('/') && !vm.starts_with('.') => {
                if !path.starts_with('/') {
                    return Err(PlaceSyntaxError::Relative);
                }
                Ok(Self::Guest { vm: vm.parse()?, path: path.to_owned() })
            }
            _ => Ok(Self::Host(text.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guests_path_has_its_vm_before_a_colon() {
        let guest =
            |vm: &str, path: &str| Place::Guest { vm: vm.parse().unwrap(), path: path.into() };
        assert_eq!("web:/a:b".parse::<Place>().unwrap(), guest("web", "/a:b"));
        assert_eq!("-".parse::<Place>().unwrap(), Place::Stream);
        for host in ["a", "/a:b", "./a:b", "../x", "dir/a:b"] {
            assert_eq!(host.parse::<Place>().unwrap(), Place::Host(host.into()), "{host}");
        }
        for none in ["web:a", "web:", ":/a", "w b:/a"] {
            assert!(none.parse::<Place>().is_err(), "{none}");
        }
    }
}
