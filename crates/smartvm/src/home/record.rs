//! What exists for a VM, in a form that another process can remove it from.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use smartvm_firecracker::ProcessIdentity;

use super::link::Link;
use crate::jail::JailRecord;
use crate::network::InterfaceRecord;
use crate::vm_id::VmId;

/// The name of the record in the VM's directory.
const FILE: &str = "record.json";

/// The record of one VM. It only names what the directory itself does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct VmRecord {
    /// The version of this form.
    pub(crate) schema_version: u32,
    /// The VM.
    pub(crate) id: VmId,
    /// The process that holds the lock of the directory, or held it until it died.
    pub(crate) owner: ProcessIdentity,
    /// Firecracker's process. Absent before it was started: a Firecracker whose owner dies before
    /// this was written is ended by the kernel (parent-death signal).
    pub(crate) firecracker: Option<ProcessIdentity>,
    /// Links to the VM's files from elsewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) links: Vec<Link>,
    /// Its jail, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) jail: Option<JailRecord>,
    /// Its network devices, of those that are made for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) interfaces: Vec<InterfaceRecord>,
}

impl VmRecord {
    /// The record of a VM that is ours and for which nothing was made yet.
    pub(crate) fn new(id: VmId) -> io::Result<Self> {
        let owner = ProcessIdentity::of(rustix::process::getpid())?;
        let links = Vec::new();
        Ok(Self {
            schema_version: 1,
            id,
            owner,
            firecracker: None,
            links,
            jail: None,
            interfaces: Vec::new(),
        })
    }

    /// Replaces the record in `dir`; a reader sees the old or the new one, never half of it.
    pub(crate) fn write(&self, dir: &Path) -> io::Result<()> {
        let unfinished = dir.join("record.json.new");
        let text = serde_json::to_string(self).map_err(io::Error::other)?;
        fs_err::write(&unfinished, text)?;
        fs_err::rename(unfinished, dir.join(FILE))
    }

    /// Reads the record of `dir`; `None` when its owner died before it wrote one.
    pub(crate) fn read(dir: &Path) -> io::Result<Option<Self>> {
        match fs_err::read(dir.join(FILE)) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(VmRecord::read(dir.path()).unwrap(), None);
        let record = VmRecord::new("a".parse().unwrap()).unwrap();
        record.write(dir.path()).unwrap();
        assert_eq!(VmRecord::read(dir.path()).unwrap(), Some(record));
    }

    #[test]
    fn a_damaged_record_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "{", "{\"schemaVersion\":1}", "{\"schemaVersion\":1,\"id\":\"../x\"}"] {
            fs_err::write(dir.path().join(FILE), text).unwrap();
            assert!(VmRecord::read(dir.path()).is_err(), "{text}");
        }
    }
}
