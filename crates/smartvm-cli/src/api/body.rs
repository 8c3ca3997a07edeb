//! The body of a request, from wherever it is.

use std::io::{self, Read};

use serde_json::Value;

use crate::failure::Failure;

/// More than Firecracker takes whatever it is told, in bytes.
const LIMIT: u64 = 1 << 20;

/// Reads JSON from the argument itself, from the file behind an `@`, or for `-` from standard input.
///
/// # Errors
/// `BODY_UNREADABLE` when it cannot be read or is too long, `BODY_NOT_JSON` when it is no JSON.
pub(super) fn read(argument: &str) -> Result<Value, Failure> {
    let text = match (argument, argument.strip_prefix('@')) {
        ("-", _) => limited(io::stdin().lock()).map_err(|error| unreadable("-", error))?,
        (_, Some(path)) => {
            fs_err::File::open(path).and_then(limited).map_err(|error| unreadable(path, error))?
        }
        _ => argument.as_bytes().to_vec(),
    };
    serde_json::from_slice(&text).map_err(|error| {
        Failure::new("BODY_NOT_JSON", "the body is not JSON")
            .caused_by(&error)
            .with_hint("quote it for the shell, as '{\"key\": \"value\"}'")
    })
}

fn limited(from: impl Read) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    from.take(LIMIT + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LIMIT {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "more than 1 MiB"));
    }
    Ok(text)
}

/// The body cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("failed to read the body from `{from}`")]
struct ReadBodyError {
    from: String,
    source: io::Error,
}

fn unreadable(from: &str, error: io::Error) -> Failure {
    let unreadable = ReadBodyError { from: from.to_owned(), source: error };
    Failure::of(&unreadable, "BODY_UNREADABLE", None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_the_argument_or_in_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("body");
        fs_err::write(&path, "{\"a\": [1]}\n").unwrap();
        let expected = serde_json::json!({ "a": [1] });
        assert_eq!(read("{\"a\": [1]}").unwrap(), expected);
        assert_eq!(read(&format!("@{}", path.display())).unwrap(), expected);
    }

    #[test]
    fn what_is_no_body_is_told() {
        let dir = tempfile::tempdir().unwrap();
        for (argument, part) in
            [("{a: 1}", "not JSON"), ("", "not JSON"), ("@/no/file", "/no/file")]
        {
            let failure = read(argument).unwrap_err();
            assert!(failure.to_json().contains(part), "{}", failure.to_json());
        }
        let path = dir.path().join("long");
        fs_err::write(&path, vec![b' '; (1 << 20) + 1]).unwrap();
        let failure = read(&format!("@{}", path.display())).unwrap_err();
        assert!(failure.to_json().contains("1 MiB"), "{}", failure.to_json());
    }
}
