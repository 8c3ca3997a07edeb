//! What exists for a VM, in a form that another process can remove it from.

use std::io;

use serde::{Deserialize, Serialize};
use smartvm_dir::PrivateDir;
use smartvm_firecracker::ProcessIdentity;

use super::link::Link;
use crate::jail::JailRecord;
use crate::network::InterfaceRecord;
use crate::vm_id::VmId;

/// The name of the record in the VM's directory.
pub(super) const FILE: &str = "record.json";

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

/// A record as it was found.
#[derive(Debug)]
pub(crate) enum Found {
    /// There is none: its owner died before it wrote one.
    Nothing,
    /// It is there, and says nothing that can be understood.
    Damaged(io::Error),
    /// The record.
    Record(Box<VmRecord>),
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
    pub(crate) fn write(&self, dir: &PrivateDir) -> io::Result<()> {
        dir.write(FILE, &serde_json::to_vec(self).map_err(io::Error::other)?)
    }

    /// Reads the record of `dir`.
    ///
    /// # Errors
    /// When the system refuses; what is damaged is told apart.
    pub(crate) fn find(dir: &PrivateDir) -> io::Result<Found> {
        let damaged = |error| Ok(Found::Damaged(error));
        match dir.read(FILE) {
            Ok(None) => Ok(Found::Nothing),
            Ok(Some(text)) => match serde_json::from_slice(&text) {
                Ok(record) => Ok(Found::Record(Box::new(record))),
                Err(error) => damaged(error.into()),
            },
            Err(error) if error.kind() == io::ErrorKind::InvalidData => damaged(error),
            Err(error) => Err(error),
        }
    }

    /// Reads the record of `dir`, none when there is none.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    pub(crate) fn read(dir: &PrivateDir) -> io::Result<Option<Self>> {
        match Self::find(dir)? {
            Found::Nothing => Ok(None),
            Found::Damaged(error) => Err(error),
            Found::Record(record) => Ok(Some(*record)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir() -> (tempfile::TempDir, PrivateDir) {
        let home = tempfile::tempdir().unwrap();
        let dir = PrivateDir::ensure(home.path()).unwrap();
        (home, dir)
    }

    #[test]
    fn a_record_is_read_back_as_it_was_written() {
        let (_home, dir) = dir();
        assert_eq!(VmRecord::read(&dir).unwrap(), None);
        let record = VmRecord::new("a".parse().unwrap()).unwrap();
        record.write(&dir).unwrap();
        assert_eq!(VmRecord::read(&dir).unwrap(), Some(record));
    }

    #[test]
    fn a_damaged_record_is_an_error() {
        let (_home, dir) = dir();
        for text in ["", "{", "{\"schemaVersion\":1}", "{\"schemaVersion\":1,\"id\":\"../x\"}"] {
            dir.write(FILE, text.as_bytes()).unwrap();
            assert!(VmRecord::read(&dir).is_err(), "{text}");
            assert!(matches!(VmRecord::find(&dir).unwrap(), Found::Damaged(_)), "{text}");
        }
    }

    #[test]
    fn a_link_in_place_of_a_record_is_not_read() {
        let (home, dir) = dir();
        let elsewhere = tempfile::tempdir().unwrap();
        let planted = elsewhere.path().join(FILE);
        let record = serde_json::to_string(&VmRecord::new("a".parse().unwrap()).unwrap()).unwrap();
        fs_err::write(&planted, record).unwrap();
        std::os::unix::fs::symlink(&planted, home.path().join(FILE)).unwrap();
        VmRecord::read(&dir).unwrap_err();
    }
}
