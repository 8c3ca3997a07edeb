//! Reading a manifest. It may come from another host, so every byte of it is taken for hostile.

use std::collections::HashSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::value::RawValue;
use smartvm_firecracker::{FirecrackerVersion, SnapshotFormat};
use uuid::Uuid;

use super::cpu::CpuIdentity;
use super::manifest::{
    DriveContent, DriveKind, FileDigest, SavedDrive, SnapshotKind, SnapshotManifest, SnapshotParent,
};
use super::name::SnapshotName;
use super::own_file::open_plain;
use crate::config::{InvalidConfig, ReadConfigError, VmConfig};
use crate::vm_id::VmId;

/// The largest manifest that is read: far beyond any real one, far below harm.
const MAX_BYTES: u64 = 1 << 20;

/// More drives than any machine of Firecracker's has interrupts for.
const MAX_DRIVES: usize = 128;

/// A manifest that cannot be read, or says what cannot be. Code `SNAPSHOT_DAMAGED`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadManifestError {
    /// The file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is too large to be a manifest.
    #[error("the manifest is larger than {MAX_BYTES} bytes")]
    TooLarge,
    /// The text is not a manifest.
    #[error("the manifest cannot be parsed")]
    Parse(#[source] serde_json::Error),
    /// The form is of another version.
    #[error("the manifest has form {found}, which this version of SmartVM does not know")]
    Schema {
        /// The version that it says.
        found: u64,
    },
    /// The VM's configuration in it cannot be read.
    #[error("the manifest's configuration cannot be read")]
    Config(#[source] ReadConfigError),
    /// The VM's configuration in it breaks rules.
    #[error("the manifest's configuration is not valid")]
    InvalidConfig(#[source] InvalidConfig),
    /// Something in it cannot be.
    #[error("the manifest says what cannot be: {what}")]
    Nonsense {
        /// What it says.
        what: String,
    },
}

/// As [`SnapshotManifest`], with the configuration still to be read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Raw<'a> {
    schema_version: u32,
    id: Uuid,
    name: SnapshotName,
    kind: SnapshotKind,
    parent: Option<SnapshotParent>,
    created_at_ms: u64,
    vm_id: VmId,
    firecracker_version: FirecrackerVersion,
    snapshot_format: SnapshotFormat,
    architecture: String,
    host_kernel: String,
    cpu: CpuIdentity,
    #[serde(borrow)]
    config: &'a RawValue,
    memory_size: u64,
    vmstate: FileDigest,
    memory: FileDigest,
    drives: Vec<SavedDrive>,
}

/// The part of the form that every version of it has.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Form {
    schema_version: u64,
}

impl SnapshotManifest {
    /// Reads a manifest from JSON text, strictly: an unknown key, a path that leaves the snapshot
    /// or a drive that is there twice is an error.
    ///
    /// # Errors
    /// The text is not a manifest of a form that we know, or says what cannot be.
    pub fn parse(text: &[u8]) -> Result<Self, ReadManifestError> {
        if text.len() as u64 > MAX_BYTES {
            return Err(ReadManifestError::TooLarge);
        }
        let form: Form = serde_json::from_slice(text).map_err(ReadManifestError::Parse)?;
        if form.schema_version != u64::from(Self::SCHEMA_VERSION) {
            return Err(ReadManifestError::Schema { found: form.schema_version });
        }
        let raw: Raw<'_> = serde_json::from_slice(text).map_err(ReadManifestError::Parse)?;
        let config = VmConfig::from_json(raw.config.get()).map_err(ReadManifestError::Config)?;
        config.validate().map_err(ReadManifestError::InvalidConfig)?;
        let manifest = Self {
            schema_version: raw.schema_version,
            id: raw.id,
            name: raw.name,
            kind: raw.kind,
            parent: raw.parent,
            created_at_ms: raw.created_at_ms,
            vm_id: raw.vm_id,
            firecracker_version: raw.firecracker_version,
            snapshot_format: raw.snapshot_format,
            architecture: raw.architecture,
            host_kernel: raw.host_kernel,
            cpu: raw.cpu,
            config,
            memory_size: raw.memory_size,
            vmstate: raw.vmstate,
            memory: raw.memory,
            drives: raw.drives,
        };
        manifest.check().map_err(|what| ReadManifestError::Nonsense { what })?;
        Ok(manifest)
    }

    /// Reads the text of a manifest file, to be [parsed](Self::parse).
    ///
    /// # Errors
    /// When the file cannot be read, or is no file of a manifest's size.
    pub(super) fn read_text(path: &Path) -> Result<Vec<u8>, ReadManifestError> {
        let failed = |source| ReadManifestError::Read { path: path.to_owned(), source };
        let mut text = Vec::new();
        let file = open_plain(path).map_err(failed)?;
        file.take(MAX_BYTES + 1).read_to_end(&mut text).map_err(failed)?;
        Ok(text)
    }

    fn check(&self) -> Result<(), String> {
        if (self.kind == SnapshotKind::Diff) != self.parent.is_some() {
            return Err(format!("a {} snapshot with the wrong parent", self.kind));
        }
        if self.memory.size != self.memory_size || self.memory_size == 0 {
            return Err("a memory file that is not as large as the memory".to_owned());
        }
        if self.vmstate.size > Self::MAX_VMSTATE {
            return Err(format!("a state of {} bytes", self.vmstate.size));
        }
        if self.config.machine_config.mem_size_mib > self.memory_size.div_ceil(1 << 20) {
            return Err("a machine with more memory than was saved".to_owned());
        }
        if self.drives.len() > MAX_DRIVES {
            return Err(format!("{} drives", self.drives.len()));
        }
        let (mut ids, mut paths) = (HashSet::new(), HashSet::new());
        for drive in &self.drives {
            let id = &drive.drive_id;
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if id.is_empty()
                || id.len() > 64
                || !id.chars().all(plain)
                || !ids.insert((drive.kind, id))
            {
                return Err(format!("a drive {id:?}"));
            }
            if !is_place_of(drive.kind, &drive.path) || !paths.insert(&drive.path) {
                return Err(format!("a drive at {:?}", drive.path));
            }
            let DriveContent::Shared { path } = &drive.content else { continue };
            if !path.is_absolute() || !drive.read_only {
                return Err(format!("a shared drive {:?}", path));
            }
        }
        Ok(())
    }
}

/// Whether a path is one that a device of this kind is given: a plain name in the directory of its
/// kind. Beside these directories are our own files, and what the jailer writes over.
fn is_place_of(kind: DriveKind, path: &Path) -> bool {
    let directory = match kind {
        DriveKind::Block => "drives/",
        DriveKind::Pmem => "pmem/",
    };
    let name = path.to_str().and_then(|path| path.strip_prefix(directory));
    name.is_some_and(|name| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        (1..=200).contains(&name.len()) && !matches!(name, "." | "..") && name.bytes().all(plain)
    })
}

#[cfg(test)]
mod tests;
