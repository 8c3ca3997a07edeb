//! Files of environment variables, as docker reads them.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::failure::Failure;

/// The variables of a file: `NAME=VALUE` a line, taken as it stands; a line of a name alone takes the value that the
/// variable has here, if it has one; empty lines and those that begin with `#` are passed over.
pub(super) fn read(
    path: &Path,
    here: impl Fn(&str) -> Option<OsString>,
) -> Result<Vec<(OsString, OsString)>, Failure> {
    let failed = |error: &(dyn std::error::Error + 'static)| {
        let message = format!("failed to read the variables in `{}`", path.display());
        Failure::new("ENV_FILE_UNREADABLE", message).caused_by(error)
    };
    let text = fs_err::read_to_string(path).map_err(|error| failed(&error))?;
    let mut variables = Vec::new();
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match variable(line, &here) {
            Ok(variable) => variables.extend(variable),
            Err(error) => {
                let message = format!("line {} of `{}`: {error}", number + 1, path.display());
                return Err(Failure::new("USAGE", message));
            }
        }
    }
    Ok(variables)
}

/// One variable, of a flag or a line.
pub(super) fn variable(
    text: &str,
    here: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<(OsString, OsString)>, NoVariable> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(OsStr::new(value).to_owned())),
        None => (text, here(text)),
    };
    if name.is_empty() || name.contains(char::is_whitespace) || text.contains('\0') {
        return Err(NoVariable);
    }
    Ok(value.map(|value| (name.into(), value)))
}

/// A text that is no variable.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the form is NAME=VALUE, or the NAME of a variable that smartvm has")]
pub(super) struct NoVariable;

#[cfg(test)]
mod tests {
    use super::*;

    fn here(name: &str) -> Option<OsString> {
        (name == "HERE").then(|| "it is".into())
    }

    #[test]
    fn a_file_is_read_as_docker_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("env");
        fs_err::write(&path, "\u{feff}# names\n\nA=1\n  B= two = 2 \nHERE\nELSEWHERE\nC=\n")
            .unwrap();
        let pair = |(name, value): (&str, &str)| (OsString::from(name), OsString::from(value));
        let expected = [("A", "1"), ("B", " two = 2 "), ("HERE", "it is"), ("C", "")].map(pair);
        assert_eq!(read(&path, here).unwrap(), expected);
    }

    #[test]
    fn a_line_that_is_none_is_told_by_its_number() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("env");
        fs_err::write(&path, "A=1\nB C=1\n").unwrap();
        assert!(read(&path, here).unwrap_err().to_string().contains("line 2"));
        assert!(read(&dir.path().join("none"), here).is_err());
    }

    #[test]
    fn names_have_no_blanks_and_are_not_empty() {
        for text in ["", "=x", "A B=1", "A=\0"] {
            assert_eq!(variable(text, here), Err(NoVariable), "{text}");
        }
    }
}
