//! What a later try must know of an unfinished file.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::request::Download;
use crate::Sha256Digest;
use crate::atomic_file::write_atomically;
use crate::regular_file::read_regular;

const MAX_BYTES: u64 = 64 << 10;

/// Written before the first byte of the part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PartRecord {
    /// The hash of the address, which may hold secrets.
    address: Sha256Digest,
    /// What the file was to be.
    sha256: Option<Sha256Digest>,
    /// The tag or date that the server gave.
    pub(super) validator: Option<String>,
    /// When this host was started last.
    boot_id: String,
}

impl PartRecord {
    pub(super) fn new(request: &Download, validator: Option<String>) -> Self {
        let address = Sha256Digest::of(request.url.as_str().as_bytes());
        Self { address, sha256: request.sha256, validator, boot_id: boot_id() }
    }

    /// The record, when it is of the same file and the rest of that file can be told from the rest of
    /// another: by its hash, or by the server's tag. Without the hash, bytes that a crash of the host
    /// may have lost are not built upon.
    pub(super) fn read(path: &Path, request: &Download) -> Option<Self> {
        let text = read_regular(path, MAX_BYTES).ok()?;
        let record: Self = serde_json::from_slice(&text).ok()?;
        let same = Self::new(request, record.validator.clone());
        let usable = match request.sha256 {
            Some(_) => (record.address, record.sha256) == (same.address, same.sha256),
            None => record == same && record.validator.is_some(),
        };
        usable.then_some(record)
    }

    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        write_atomically(path, &serde_json::to_vec(self).map_err(io::Error::other)?)
    }
}

fn boot_id() -> String {
    fs_err::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(url: &str, sha256: Option<Sha256Digest>) -> Download {
        Download::new(url.parse().unwrap(), Path::new("/x"), 1).with_sha256(sha256)
    }

    #[test]
    fn only_the_rest_of_the_same_file_is_built_upon() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record");
        let plain = request("http://host/a", None);
        let tagged = PartRecord::new(&plain, Some("\"tag\"".to_owned()));
        tagged.write(&path).unwrap();
        assert_eq!(PartRecord::read(&path, &plain), Some(tagged.clone()));
        assert_eq!(PartRecord::read(&path, &request("http://host/b", None)), None);
        let hashed = request("http://host/a", Some(Sha256Digest::of(b"a")));
        assert_eq!(PartRecord::read(&path, &hashed), None);

        PartRecord { boot_id: "another".to_owned(), ..tagged }.write(&path).unwrap();
        assert_eq!(PartRecord::read(&path, &plain), None, "the host has crashed since");
        PartRecord::new(&plain, None).write(&path).unwrap();
        assert_eq!(PartRecord::read(&path, &plain), None, "nothing tells the file from another");
        PartRecord::new(&hashed, None).write(&path).unwrap();
        assert!(PartRecord::read(&path, &hashed).is_some());
        fs_err::write(&path, "{").unwrap();
        assert_eq!(PartRecord::read(&path, &hashed), None);
    }
}
