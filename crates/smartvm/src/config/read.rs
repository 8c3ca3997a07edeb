//! Reading a configuration from JSON, strictly.

use std::path::{Path, PathBuf};

use smartvm_json::{Misfit, ReadJsonError};

use super::invalid::{Breaches, InvalidConfig};
use super::known_keys::KnownKeys;
use super::vm_config::VmConfig;

/// The largest configuration file that is read: far beyond any real one, far below harm.
const MAX_BYTES: u64 = 1 << 20;

/// A configuration that could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadConfigError {
    /// The file could not be read.
    #[error("cannot read configuration {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is too large to be a configuration.
    #[error("configuration {} is larger than {MAX_BYTES} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The text is not JSON, or a key stands there twice.
    #[error("cannot parse the configuration")]
    Parse(#[source] serde_json::Error),
    /// The JSON has keys that nobody reads, lacks some, or has values that do not fit: all of them.
    #[error(transparent)]
    Keys(InvalidConfig),
    /// It is a file's.
    #[error("configuration {} cannot be used", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<Self>,
    },
}

impl VmConfig {
    /// Reads a configuration from JSON text; a byte order mark is skipped.
    ///
    /// # Errors
    /// The text is not JSON, a key stands there twice, is missing or not understood, or a value does not fit. A
    /// misspelt `isReadOnly` must not quietly make a drive writable, nor a second one that says otherwise. Code
    /// `INVALID_CONFIG`.
    pub fn from_json(text: &str) -> Result<Self, ReadConfigError> {
        let (misfits, ignored) = match smartvm_json::read::<Self>(text) {
            Ok(read) => {
                refuse(&[], &read.ignored).map_err(ReadConfigError::Keys)?;
                return Ok(read.value);
            }
            Err(ReadJsonError::Misfits { misfits, ignored }) => (misfits, ignored),
            Err(ReadJsonError::Syntax(error)) => return Err(ReadConfigError::Parse(error)),
            Err(error) => return Err(ReadConfigError::Parse(serde::de::Error::custom(error))),
        };
        refuse(&misfits, &ignored).map_err(ReadConfigError::Keys)?;
        unreachable!("misfits are breaches, and there is one at least")
    }

    /// Reads a configuration file.
    ///
    /// # Errors
    /// As [`VmConfig::from_json`], and when the file cannot be read or has more than 1 MiB.
    pub fn from_file(path: &Path) -> Result<Self, ReadConfigError> {
        let read = |source| ReadConfigError::Read { path: path.to_owned(), source };
        if fs_err::metadata(path).map_err(read)?.len() > MAX_BYTES {
            return Err(ReadConfigError::TooLarge { path: path.to_owned() });
        }
        let text = fs_err::read_to_string(path).map_err(read)?;
        Self::from_json(&text).map_err(|source| ReadConfigError::InFile {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }
}

/// For how many keys it is looked what they may have meant, and how long they are.
const SUGGESTIONS: usize = 32;
const LONGEST_MISTAKE: usize = 64;

/// Names every value that does not fit, and every key that nobody reads, with the one that may have been meant.
fn refuse(misfits: &[Misfit], unknown: &[String]) -> Result<(), InvalidConfig> {
    let mut breaches = Breaches::default();
    for Misfit { path, problem, line, column, .. } in misfits {
        breaches.add(path.clone(), format!("{problem} (line {line}, column {column})"));
    }
    if !unknown.is_empty() {
        let known = KnownKeys::of::<VmConfig>();
        for (number, ignored) in unknown.iter().enumerate() {
            let (place, key) = locate(ignored);
            let anywhere = place.replace(|c: char| c.is_ascii_digit(), "");
            // Each is compared with all keys there are, which is no work to do for thousands.
            let may_be_meant = number < SUGGESTIONS && key.len() <= LONGEST_MISTAKE;
            let rule = match may_be_meant.then(|| known.suggest(&anywhere, &key)).flatten() {
                Some(meant) => format!("is not a known key, did you mean `{meant}`?"),
                None => "is not a known key".to_owned(),
            };
            let path = if place.is_empty() { key } else { format!("{place}.{key}") };
            breaches.add(path, rule);
        }
    }
    breaches.into_result()
}

/// The place and the name of a key that nobody reads, in our notation.
fn locate(ignored: &str) -> (String, String) {
    let mut place = String::new();
    let mut parts: Vec<_> = ignored.split('.').filter(|part| *part != "?").collect();
    let key = parts.pop().unwrap_or_default();
    for part in parts {
        if part.bytes().all(|b| b.is_ascii_digit()) {
            place.push_str(&format!("[{part}]"));
        } else {
            if !place.is_empty() {
                place.push('.');
            }
            place.push_str(part);
        }
    }
    (place, key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_errors(json: &str) -> Vec<String> {
        match VmConfig::from_json(json) {
            Err(ReadConfigError::Keys(invalid)) => {
                invalid.breaches().iter().map(ToString::to_string).collect()
            }
            other => panic!("expected key errors, got {other:?}"),
        }
    }

    #[test]
    fn the_seeds_keys_are_read() {
        let config = VmConfig::from_json(
            r#"{"id":"smartvm-it-1","bootSource":{"kernelImagePath":"/vmlinux","bootArgs":"a"},
            "machineConfig":{"vcpuCount":1,"memSizeMib":256},
            "drives":[{"driveId":"rootfs","pathOnHost":"/r","isRootDevice":true,"isReadOnly":false,
            "ephemeral":false,"rateLimiter":{"bandwidth":{"size":1000,"refillTime":2000,
            "oneTimeBurst":3000},"ops":{"size":10,"refillTime":20}}}]}"#,
        )
        .unwrap();
        assert_eq!(config.machine_config.mem_size_mib, 256);
        let drive = &config.drives[0];
        assert_eq!(drive.ephemeral, Some(false));
        let wire = serde_json::to_value(drive.to_wire("/r".into())).unwrap();
        assert_eq!(
            wire,
            serde_json::json!({
                "drive_id": "rootfs", "path_on_host": "/r", "is_root_device": true,
                "is_read_only": false,
                "rate_limiter": {
                    "bandwidth": { "size": 1000, "refill_time": 2000, "one_time_burst": 3000 },
                    "ops": { "size": 10, "refill_time": 20 },
                },
            })
        );
    }

    #[test]
    fn what_was_written_is_read_back() {
        let json = r#"{"bootSource":{"kernelImagePath":"/k"},"machineConfig":{"vcpuCount":2,
            "memSizeMib":64,"hugePages":"2M","cpuTemplate":"T2"},"drives":[{"driveId":"d",
            "pathOnHost":"/d","isRootDevice":false,"cacheType":"Writeback","ioEngine":"Async"}]}"#;
        let config = VmConfig::from_json(json).unwrap();
        let again = VmConfig::from_json(&serde_json::to_string(&config).unwrap()).unwrap();
        assert_eq!(config, again);
    }

    #[test]
    fn a_misspelt_key_is_an_error_that_names_the_right_one() {
        assert_eq!(
            key_errors(r#"{"drives":[{"driveId":"a","isReadonly":true}],"kernel":1}"#),
            [
                "drives[0].isReadonly is not a known key, did you mean `isReadOnly`?",
                "kernel is not a known key, did you mean `bootSource.kernelImagePath`?",
            ]
        );
    }

    #[test]
    fn text_that_is_not_json_is_refused() {
        for text in ["", "{", "[]", "\u{0}"] {
            assert!(matches!(VmConfig::from_json(text), Err(ReadConfigError::Parse(_))), "{text}");
        }
    }

    #[test]
    fn a_drive_that_is_read_only_and_is_not_is_refused() {
        let text = r#"{"drives":[{"isReadOnly":true,"isReadOnly":false}]}"#;
        match VmConfig::from_json(text) {
            Err(ReadConfigError::Parse(error)) => {
                assert!(error.to_string().contains("`isReadOnly` stands there twice"), "{error}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn values_that_do_not_fit_and_keys_that_are_not_known_are_told_together() {
        let text = "{\n\"machineConfig\":{\"vcpuCount\":\"two\",\"memSizeMib\":64},\n\"drives\":3,\"kernel\":1}";
        let errors = key_errors(text);
        let [count, drives, .., unknown] = &errors[..] else { panic!("{errors:?}") };
        assert!(count.starts_with("machineConfig.vcpuCount does not fit: "), "{count}");
        assert!(count.ends_with("expected u32 (line 2, column 30)"), "{count}");
        assert!(drives.starts_with("drives does not fit"), "{drives}");
        assert!(unknown.starts_with("kernel is not a known key"), "{unknown}");
    }
}
