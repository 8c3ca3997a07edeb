//! What becomes of a drive when its guest is saved.

use std::path::{Path, PathBuf};

use smartvm_firecracker::api::{Drive, Pmem};

use super::handle::VmSetup;
use crate::config::DriveSpec;
use crate::home::WorkDir;
use crate::smart_vm_error::SmartVmError;
use crate::snapshot::{
    CreateSnapshotError, DriveContent, DriveKind, FileDigest, SavedDrive, SnapshotError,
};

/// A drive or a persistent memory device, as Firecracker has it.
pub(super) struct KnownDrive<'a> {
    id: &'a str,
    kind: DriveKind,
    path: Option<&'a Path>,
    read_only: bool,
}

impl<'a> KnownDrive<'a> {
    pub(super) fn drive(drive: &'a Drive) -> Self {
        Self {
            id: drive.drive_id.as_str(),
            kind: DriveKind::Block,
            path: drive.path_on_host.as_deref(),
            read_only: drive.is_read_only == Some(true),
        }
    }

    pub(super) fn pmem(device: &'a Pmem) -> Self {
        Self {
            id: device.id.as_str(),
            kind: DriveKind::Pmem,
            path: Some(&device.path_on_host),
            read_only: device.read_only == Some(true),
        }
    }

    /// What a snapshot says of it, but for its digest.
    pub(super) fn save(
        &self,
        setup: &VmSetup,
        work_dir: &WorkDir,
    ) -> Result<SavedDrive, SmartVmError> {
        let Some(path) = self.path else {
            return Err(self.refused("is served by another process, which cannot be saved"));
        };
        if path.is_absolute() {
            return Err(
                self.refused("was attached by its path on this host, which no other VM may use")
            );
        }
        let file = work_dir.host_path(path);
        if !fs_err::metadata(&file).is_ok_and(|file| file.is_file()) {
            return Err(self.refused("is not an image file, and nothing else can be copied"));
        }
        let content = match self.shared_source(setup, &file) {
            Some(path) if self.read_only => DriveContent::Shared { path },
            _ => DriveContent::Captured,
        };
        Ok(SavedDrive {
            drive_id: self.id.to_owned(),
            kind: self.kind,
            path: path.to_owned(),
            read_only: self.read_only,
            content,
            digest: FileDigest::unknown(),
        })
    }

    /// The file that it shares with others: the configured one, if that is what it still has.
    fn shared_source(&self, setup: &VmSetup, file: &Path) -> Option<PathBuf> {
        let (spec, ephemeral) = (&setup.spec, setup.options.ephemeral_writable_drives);
        let source = match self.kind {
            DriveKind::Block => {
                let mut drives = spec.drives.iter().map(DriveSpec::config);
                let drive = drives.find(|drive| drive.drive_id == self.id)?;
                (!drive.is_staged(ephemeral)).then_some(&drive.path_on_host)?
            }
            DriveKind::Pmem => {
                let device = spec.config().pmem.iter().find(|device| device.id == self.id)?;
                (!device.is_staged(ephemeral)).then_some(&device.path_on_host)?
            }
        };
        let source = std::path::absolute(source).ok()?;
        same_file(&source, file).then_some(source)
    }

    fn refused(&self, problem: &'static str) -> SmartVmError {
        let drive_id = self.id.to_owned();
        SnapshotError::from(CreateSnapshotError::Drive { drive_id, problem }).into()
    }
}

/// Whether two paths lead to one file.
pub(super) fn same_file(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |path| fs_err::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    identity(one).is_some_and(|one| identity(other) == Some(one))
}
