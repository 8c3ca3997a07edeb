//! Can this file be a drive?

use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use fs_err::OpenOptions;

use crate::config::DriveConfig;

/// A drive whose content cannot be used. Code `DRIVE_UNUSABLE`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriveUnusable {
    /// The file cannot be opened as the drive needs it.
    #[error("cannot open {} for drive {drive}", path.display())]
    Open {
        /// The drive's id.
        drive: String,
        /// Its file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The path is neither a file nor a block device.
    #[error("drive {drive} needs a file or a block device, and {} is neither", path.display())]
    NotAFile {
        /// The drive's id.
        drive: String,
        /// The path.
        path: PathBuf,
    },
    /// A private copy of a block device was asked for.
    #[error("drive {drive} cannot be a private copy of the block device {}", path.display())]
    StagedDevice {
        /// The drive's id.
        drive: String,
        /// The device.
        path: PathBuf,
    },
    /// No server listens for a vhost-user drive.
    #[error("drive {drive} needs the socket of a vhost-user server, and {} is none", path.display())]
    NotASocket {
        /// The drive's id.
        drive: String,
        /// The path.
        path: PathBuf,
    },
    /// The file has no content.
    #[error("drive {drive} is empty: {} has no bytes", path.display())]
    Empty {
        /// The drive's id.
        drive: String,
        /// Its file.
        path: PathBuf,
    },
}

impl DriveUnusable {
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::NotAFile { path, .. } if path.is_dir() => Some(format!(
                "make an image of it first: truncate -s 1G root.ext4 && mkfs.ext4 -d {} root.ext4",
                path.display()
            )),
            Self::StagedDevice { .. } => {
                Some("set \"ephemeral\": false to let the guest write to the device".to_owned())
            }
            Self::NotASocket { .. } => Some("start the server before the VM".to_owned()),
            Self::NotAFile { .. } | Self::Open { .. } | Self::Empty { .. } => None,
        }
    }
}

pub(super) fn check(config: &DriveConfig, ephemeral: bool) -> Result<(), DriveUnusable> {
    let (drive, path) = (config.drive_id.clone(), config.path_on_host.clone());
    let staged = config.is_staged(ephemeral);
    let found = match fs_err::metadata(&path) {
        Ok(found) => found,
        Err(source) => return Err(DriveUnusable::Open { drive, path, source }),
    };
    let is_device = found.file_type().is_block_device();
    if !found.is_file() && !is_device {
        return Err(DriveUnusable::NotAFile { drive, path });
    }
    if is_device && staged {
        return Err(DriveUnusable::StagedDevice { drive, path });
    }
    if found.is_file() && found.len() == 0 {
        return Err(DriveUnusable::Empty { drive, path });
    }
    let writes = !staged && config.is_read_only != Some(true);
    match OpenOptions::new().read(true).write(writes).open(&path) {
        Ok(_) => Ok(()),
        Err(source) => Err(DriveUnusable::Open { drive, path, source }),
    }
}

pub(super) fn check_socket(drive: &str, socket: &Path) -> Result<(), DriveUnusable> {
    match fs_err::metadata(socket) {
        Ok(found) if found.file_type().is_socket() => Ok(()),
        _ => Err(DriveUnusable::NotASocket { drive: drive.to_owned(), path: socket.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_server_s_socket_is_told_from_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        assert!(matches!(check_socket("d", &path), Err(DriveUnusable::NotASocket { .. })));
        let _server = UnixListener::bind(&path).unwrap();
        check_socket("d", &path).unwrap();
        assert!(matches!(check_socket("d", dir.path()), Err(DriveUnusable::NotASocket { .. })));
    }

    fn drive(path: &Path) -> DriveConfig {
        DriveConfig {
            drive_id: "rootfs".into(),
            path_on_host: path.to_owned(),
            ..DriveConfig::default()
        }
    }

    #[test]
    fn a_file_with_content_is_a_drive() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        fs_err::write(&path, [0; 512]).unwrap();
        check(&drive(&path), true).unwrap();
        check(&drive(&path), false).unwrap();
    }

    #[test]
    fn what_holds_no_bytes_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let empty = dir.path().join("empty");
        fs_err::write(&empty, "").unwrap();
        assert!(matches!(check(&drive(&empty), true), Err(DriveUnusable::Empty { .. })));
        let missing = dir.path().join("missing");
        assert!(matches!(check(&drive(&missing), true), Err(DriveUnusable::Open { .. })));
        for path in [dir.path(), Path::new("/dev/null")] {
            assert!(matches!(check(&drive(path), true), Err(DriveUnusable::NotAFile { .. })));
        }
    }
}
