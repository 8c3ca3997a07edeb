//! The syntax of `--drive`.
//!
//! `PATH[:ro|:rw][,id=NAME]`, read from its end: first `,id=NAME`, then `:ro` or
//! `:rw`, and the rest is the path, whatever it holds. A file whose name ends in
//! `:ro` is given as `NAME:ro:rw`. Without `:ro` the guest may write.

use std::path::{Path, PathBuf};
use std::str::FromStr;

/// One drive as given on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DriveArg {
    /// The image or block device.
    pub(crate) path: PathBuf,
    /// Whether the guest may only read.
    pub(crate) read_only: bool,
    /// The drive's id; chosen by position when none is given.
    pub(crate) id: Option<String>,
}

/// Why a `--drive` is not understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DriveSyntaxError {
    /// Nothing before the options.
    #[error("the path is missing; the form is PATH[:ro][,id=NAME]")]
    NoPath,
    /// An id that Firecracker refuses.
    #[error("the id `{0}` must be 1 to 64 letters, digits or underscores")]
    BadId(String),
    /// `,key=value` with a key that is not `id`.
    #[error("`{0}` is no option of a drive; the form is PATH[:ro][,id=NAME]")]
    UnknownOption(String),
}

impl FromStr for DriveArg {
    type Err = DriveSyntaxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (rest, id) = match text.rsplit_once(",id=") {
            Some((rest, id)) => (rest, Some(checked_id(id)?)),
            None => (text, None),
        };
        if let Some(key) = option_key(rest) {
            return Err(DriveSyntaxError::UnknownOption(key.to_owned()));
        }
        let (path, read_only) = match rest.rsplit_once(':') {
            Some((path, "ro")) => (path, true),
            Some((path, "rw")) => (path, false),
            _ => (rest, false),
        };
        if path.is_empty() {
            return Err(DriveSyntaxError::NoPath);
        }
        Ok(Self { path: Path::new(path).to_owned(), read_only, id })
    }
}

/// Firecracker's rule for ids in request paths.
fn checked_id(id: &str) -> Result<String, DriveSyntaxError> {
    let allowed = id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if (1..=64).contains(&id.len()) && allowed {
        Ok(id.to_owned())
    } else {
        Err(DriveSyntaxError::BadId(id.to_owned()))
    }
}

/// The key when the text ends in `,key=value`: more likely a slip than a file name.
fn option_key(text: &str) -> Option<&str> {
    let (_, last) = text.rsplit_once(',')?;
    let (key, _) = last.split_once('=')?;
    (!key.is_empty() && key.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_')).then_some(key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drive(path: &str, read_only: bool, id: Option<&str>) -> DriveArg {
        DriveArg { path: path.into(), read_only, id: id.map(str::to_owned) }
    }

    #[test]
    fn the_documented_forms_are_understood() {
        let cases = [
            ("data.img", drive("data.img", false, None)),
            ("data.img:ro", drive("data.img", true, None)),
            ("data.img:rw", drive("data.img", false, None)),
            ("/a/b.img,id=data", drive("/a/b.img", false, Some("data"))),
            ("/a/b.img:ro,id=data_1", drive("/a/b.img", true, Some("data_1"))),
            ("odd:ro:rw", drive("odd:ro", false, None)),
            ("a,b:c.img", drive("a,b:c.img", false, None)),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn slips_are_named() {
        let parse = |text: &str| text.parse::<DriveArg>().map_err(|e| e.to_string());
        assert!(parse("").is_err_and(|e| e.starts_with("the path is missing")));
        assert!(parse(":ro").is_err_and(|e| e.starts_with("the path is missing")));
        assert!(parse("x,id=").is_err_and(|e| e.contains("letters, digits")));
        assert!(parse("x,id=a-b").is_err_and(|e| e.contains("`a-b`")));
        assert!(parse("x,readonly=true").is_err_and(|e| e.contains("`readonly`")));
        assert!(parse("x,cache=none,id=a").is_err_and(|e| e.contains("`cache`")));
    }

    proptest! {
        #[test]
        fn a_path_with_its_options_comes_back_whole(
            path in "[a-z0-9/.:_-]{1,40}",
            read_only: bool,
            id in proptest::option::of("[A-Za-z0-9_]{1,64}"),
        ) {
            let mode = if read_only { "ro" } else { "rw" };
            let id_part = id.as_ref().map(|id| format!(",id={id}")).unwrap_or_default();
            let parsed: Result<DriveArg, _> = format!("{path}:{mode}{id_part}").parse();
            prop_assert_eq!(parsed, Ok(DriveArg { path: path.into(), read_only, id }));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}") {
            let _ = text.parse::<DriveArg>();
        }
    }
}
