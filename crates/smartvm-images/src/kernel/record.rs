//! What the store knows of a kernel: its `kernel.json`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::digest::sha256_of_file;
use crate::regular_file::{ReadFileError, read_regular};

pub(super) const RECORD_FILE: &str = "kernel.json";
pub(super) const VMLINUX_FILE: &str = "vmlinux";
pub(super) const INITRAMFS_FILE: &str = "initramfs.cpio";

const SCHEMA_VERSION: u32 = 1;
const MAX_RECORD: u64 = 1 << 20;

/// A kernel of the store, ready to be booted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredKernel {
    /// The name in the store.
    pub name: String,
    /// The kernel's version, as `uname -r` prints it in the guest.
    pub version: String,
    /// The ELF kernel that Firecracker loads.
    pub vmlinux: PathBuf,
    /// The initramfs that goes with it; none when it was imported without modules and init.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initramfs: Option<PathBuf>,
    /// SHA-256 of the image that was imported, in hexadecimal.
    pub source_sha256: String,
    /// SHA-256 of `vmlinux`, in hexadecimal.
    pub vmlinux_sha256: String,
    /// SHA-256 of `initramfs`, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initramfs_sha256: Option<String>,
    /// The modules in the initramfs, in the order they are loaded in.
    pub modules: Vec<String>,
    /// What a guest may use and the kernel has built in; known only when modules were given.
    pub built_in_modules: Vec<String>,
    /// What a guest may use and this kernel has not, such as `virtio_balloon`.
    pub missing_modules: Vec<String>,
    /// When it was imported, in milliseconds since 1970.
    pub imported_at_ms: u64,
}

/// `kernel.json` as it is on the disk. It names no directory, so that a store can be moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct KernelRecord {
    pub(super) schema_version: u32,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) source_sha256: String,
    pub(super) vmlinux_sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) initramfs_sha256: Option<String>,
    pub(super) modules: Vec<String>,
    pub(super) built_in_modules: Vec<String>,
    pub(super) missing_modules: Vec<String>,
    pub(super) imported_at_ms: u64,
}

/// The reason why a stored kernel is not what was imported.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VerifyKernelError {
    /// A file could not be read.
    #[error("failed to read a part of stored kernel `{name}`")]
    Read {
        /// The kernel's name.
        name: String,
        /// Why it could not be read.
        #[source]
        source: ReadFileError,
    },
    /// A file has other contents than those that were imported.
    #[error("`{}` of stored kernel `{name}` is not what was imported", path.display())]
    Changed {
        /// The kernel's name.
        name: String,
        /// The file.
        path: PathBuf,
    },
}

impl VerifyKernelError {
    /// The stable code of the error.
    pub fn code(&self) -> &'static str {
        "KERNEL_DAMAGED"
    }

    /// What the owner of the store can do.
    pub fn hint(&self) -> Option<String> {
        Some("import the kernel again".to_owned())
    }
}

impl StoredKernel {
    /// Reads the kernel and its initramfs again and compares their hashes with the recorded ones.
    ///
    /// # Errors
    /// When a file is gone, cannot be read or was changed.
    pub fn verify(&self) -> Result<(), VerifyKernelError> {
        let initramfs = self.initramfs.iter().zip(&self.initramfs_sha256);
        for (path, expected) in [(&self.vmlinux, &self.vmlinux_sha256)].into_iter().chain(initramfs)
        {
            let found = sha256_of_file(path)
                .map_err(|source| VerifyKernelError::Read { name: self.name.clone(), source })?;
            if found != *expected {
                let (name, path) = (self.name.clone(), path.clone());
                return Err(VerifyKernelError::Changed { name, path });
            }
        }
        Ok(())
    }

    /// The kernel whose files and record are in `dir`.
    pub(super) fn load(dir: &Path) -> Result<Self, LoadRecordError> {
        let path = dir.join(RECORD_FILE);
        let bytes = read_regular(&path, MAX_RECORD).map_err(LoadRecordError::Read)?;
        let record: KernelRecord = serde_json::from_slice(&bytes)
            .map_err(|source| LoadRecordError::Parse { path, source })?;
        if record.schema_version != SCHEMA_VERSION {
            return Err(LoadRecordError::Schema { found: record.schema_version });
        }
        // The directory decides: it is what the name was looked up by.
        let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(record.into_stored(dir, name))
    }
}

impl KernelRecord {
    pub(super) const SCHEMA_VERSION: u32 = SCHEMA_VERSION;

    fn into_stored(self, dir: &Path, name: String) -> StoredKernel {
        StoredKernel {
            name,
            version: self.version,
            vmlinux: dir.join(VMLINUX_FILE),
            initramfs: self.initramfs_sha256.is_some().then(|| dir.join(INITRAMFS_FILE)),
            source_sha256: self.source_sha256,
            vmlinux_sha256: self.vmlinux_sha256,
            initramfs_sha256: self.initramfs_sha256,
            modules: self.modules,
            built_in_modules: self.built_in_modules,
            missing_modules: self.missing_modules,
            imported_at_ms: self.imported_at_ms,
        }
    }
}

/// The reason why a `kernel.json` was not understood.
#[derive(Debug, Error)]
pub(super) enum LoadRecordError {
    #[error("failed to read the record")]
    Read(#[source] ReadFileError),
    #[error("failed to understand `{}`", path.display())]
    Parse {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("the record has schema version {found} and this program knows {SCHEMA_VERSION}")]
    Schema { found: u32 },
}
