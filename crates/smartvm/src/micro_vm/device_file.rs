//! What one device of a started VM has of the host.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;
use smartvm_dir::FileAt;
use smartvm_firecracker::api::{Drive, Pmem};

use super::files::{self, Content, ContentKind};
use crate::config::DriveSpec;
use crate::home::{Access, WorkDir};
use crate::smart_vm_error::SmartVmError;
use crate::snapshot::{
    CreateSnapshotError, DriveContent, DriveKind, FileDigest, SavedDrive, SnapshotError,
};

/// A device as it was given to the VM.
#[derive(Debug, Clone)]
pub(super) struct DeviceFile {
    name: PathBuf,
    read_only: bool,
    /// Whether another process does its input and output.
    served: bool,
    content: Content,
    /// The host's own file as it was then, where the VM has no private copy.
    given: Option<Given>,
}

/// Which file it was, and what was in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Given {
    file: (u64, u64),
    state: (u64, i64, i64),
}

impl DeviceFile {
    /// A device that has `content` under this name in the work directory, from now on.
    pub(super) fn new(name: PathBuf, read_only: bool, content: Content) -> Self {
        let given = match content.kind {
            ContentKind::Copied | ContentKind::Served => None,
            ContentKind::Shared(_) => Given::of(&content.source),
        };
        Self { name, read_only, served: false, content, given }
    }

    /// A drive of the configuration.
    pub(super) fn of_drive(drive: &DriveSpec, content: Content) -> Self {
        let config = drive.config();
        let served = config.socket.is_some();
        let read_only = config.is_read_only == Some(true);
        Self { served, ..Self::new(files::drive_name(drive), read_only, content) }
    }

    /// A device of a snapshot that the VM goes on from.
    pub(super) fn restored(saved: &SavedDrive) -> ((DriveKind, String), Self) {
        let content = match &saved.content {
            DriveContent::Captured => Content { source: PathBuf::new(), kind: ContentKind::Copied },
            DriveContent::Shared { path } => {
                Content { source: path.clone(), kind: ContentKind::Shared(Access::ReadOnly) }
            }
        };
        let device = Self::new(saved.path.clone(), saved.read_only, content);
        ((saved.kind, saved.drive_id.clone()), device)
    }

    /// The same device with another content.
    pub(super) fn with(&self, content: Content) -> Self {
        Self { served: self.served, ..Self::new(self.name.clone(), self.read_only, content) }
    }

    /// Its name in the work directory, which Firecracker knows it by.
    pub(super) fn name(&self) -> &Path {
        &self.name
    }

    /// Whether Firecracker has this drive as it was given.
    pub(super) fn is_drive(&self, id: &str, drive: &Drive) -> bool {
        let named = drive.path_on_host.as_deref() == Some(&self.name);
        let read_only = drive.is_read_only == Some(true);
        drive.drive_id.as_str() == id && (self.served || named && read_only == self.read_only)
    }

    /// Whether Firecracker has this persistent memory as it was given.
    pub(super) fn is_pmem(&self, id: &str, device: &Pmem) -> bool {
        let read_only = device.read_only == Some(true);
        device.id.as_str() == id && device.path_on_host == self.name && read_only == self.read_only
    }

    /// What a snapshot says of it, but for its digest, and the file that its content is in. `as_given`
    /// tells whether Firecracker still has it so.
    pub(super) fn save(
        &self,
        kind: DriveKind,
        id: &str,
        work_dir: &WorkDir,
        as_given: bool,
    ) -> Result<(SavedDrive, FileAt), SmartVmError> {
        let refused = |problem| -> SmartVmError {
            let drive_id = id.to_owned();
            SnapshotError::from(CreateSnapshotError::Drive { drive_id, problem }).into()
        };
        if self.served {
            return Err(refused("is served by another process, which cannot be saved"));
        }
        if !as_given {
            return Err(refused(
                "is not what the VM was given: Firecracker was told of another one, or tells of one",
            ));
        }
        let (content, file) = self.content(work_dir).map_err(refused)?;
        let saved = SavedDrive {
            drive_id: id.to_owned(),
            kind,
            path: self.name.clone(),
            read_only: self.read_only,
            content,
            digest: FileDigest::unknown(),
        };
        Ok((saved, file))
    }

    /// Where the content is now. A private copy is where nobody but us can put anything else: in a
    /// directory of ours.
    fn content(&self, work_dir: &WorkDir) -> Result<(DriveContent, FileAt), &'static str> {
        const NO_FILE: &str = "is not an image file, and nothing else can be copied";
        let ContentKind::Shared(access) = self.content.kind else {
            let place = work_dir.place(&self.name).map_err(|_| NO_FILE)?;
            let found = place.stat().map_err(|_| NO_FILE)?;
            let is_file = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
            return if is_file { Ok((DriveContent::Captured, place)) } else { Err(NO_FILE) };
        };
        let path = std::path::absolute(&self.content.source).map_err(|_| NO_FILE)?;
        if !fs_err::metadata(&path).is_ok_and(|found| found.is_file()) {
            return Err(NO_FILE);
        }
        match (self.given, Given::of(&path), access) {
            (Some(then), Some(now), Access::ReadWrite) if then.file == now.file => {
                Ok((DriveContent::Captured, path.into()))
            }
            (Some(then), Some(now), Access::ReadOnly) if then == now => {
                Ok((DriveContent::Shared { path: path.clone() }, path.into()))
            }
            _ => Err("is a file that was replaced or changed since the VM got it"),
        }
    }
}

impl Given {
    fn of(path: &Path) -> Option<Self> {
        let found = fs_err::metadata(path).ok()?;
        let file = (found.dev(), found.ino());
        Some(Self { file, state: (found.len(), found.mtime(), found.mtime_nsec()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(device: &DeviceFile, dir: &Path) -> Result<DriveContent, String> {
        let saved = device.save(DriveKind::Block, "a", &WorkDir::of_test(dir), true);
        saved.map(|(saved, _)| saved.content).map_err(|error| error.to_string())
    }

    #[test]
    fn a_private_copy_that_became_a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let secret = dir.path().join("secret");
        fs_err::write(&secret, "secret").unwrap();
        let copied = Content { source: "/image".into(), kind: ContentKind::Copied };
        let device = DeviceFile::new("copy".into(), false, copied);
        fs_err::write(dir.path().join("copy"), "own").unwrap();
        assert_eq!(saved(&device, dir.path()), Ok(DriveContent::Captured));
        fs_err::remove_file(dir.path().join("copy")).unwrap();
        std::os::unix::fs::symlink(&secret, dir.path().join("copy")).unwrap();
        assert!(saved(&device, dir.path()).unwrap_err().contains("not an image file"));
    }

    #[test]
    fn a_shared_file_is_saved_by_its_name_only_while_it_is_the_one_that_was_given() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        fs_err::write(&path, "image").unwrap();
        let shared = Content { source: path.clone(), kind: ContentKind::Shared(Access::ReadOnly) };
        let device = DeviceFile::new("drives/a".into(), true, shared);
        assert_eq!(saved(&device, dir.path()), Ok(DriveContent::Shared { path: path.clone() }));
        fs_err::write(&path, "another one").unwrap();
        assert!(saved(&device, dir.path()).unwrap_err().contains("changed since"));
    }

    #[test]
    fn what_firecracker_says_of_a_drive_is_compared_and_never_used() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join("a"), "own").unwrap();
        let copied = Content { source: "/image".into(), kind: ContentKind::Copied };
        let device = DeviceFile::new("a".into(), false, copied);
        let answer = |path: &str| Drive::new("a".parse().unwrap(), path);
        assert!(device.is_drive("a", &answer("a")));
        for lie in ["../../etc/shadow", "/proc/kmsg", "b", ""] {
            assert!(!device.is_drive("a", &answer(lie)), "{lie}");
        }
        let error = device.save(DriveKind::Block, "a", &WorkDir::of_test(dir.path()), false);
        assert_eq!(error.unwrap_err().code(), "SNAPSHOT_DRIVE_UNSUITABLE");
    }
}
