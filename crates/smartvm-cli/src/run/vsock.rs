//! The syntax of `--vsock`: `CID[:PATH]`.

use std::path::PathBuf;
use std::str::FromStr;

/// The vsock as given on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VsockArg {
    /// The guest's address.
    pub(super) cid: u32,
    /// Where the socket is to be on the host.
    pub(super) path: Option<PathBuf>,
}

/// Why a `--vsock` is not understood. Which CIDs there are is said by the configuration's rules.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the form is CID[:PATH], such as 3 or 3:/run/user/1000/vm.sock")]
pub(crate) struct VsockSyntaxError;

impl FromStr for VsockArg {
    type Err = VsockSyntaxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (cid, path) = match text.split_once(':') {
            Some((_, "")) => return Err(VsockSyntaxError),
            Some((cid, path)) => (cid, Some(path.into())),
            None => (text, None),
        };
        if !cid.bytes().all(|b| b.is_ascii_digit()) {
            return Err(VsockSyntaxError);
        }
        Ok(Self { cid: cid.parse().map_err(|_| VsockSyntaxError)?, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_perhaps_a_path() {
        assert_eq!("3".parse(), Ok(VsockArg { cid: 3, path: None }));
        assert_eq!("3:/a:b".parse(), Ok(VsockArg { cid: 3, path: Some("/a:b".into()) }));
        for text in ["", ":", "3:", "x", "+3", "-1", "4294967296", "/run/v.sock"] {
            assert_eq!(text.parse::<VsockArg>(), Err(VsockSyntaxError), "{text}");
        }
    }
}
