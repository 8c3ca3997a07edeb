//! What a snapshot that is to be made needs before the guest stands still.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use fs_err::File;
use rustix::fs::{Mode, OFlags};
use smartvm_dir::{FileAt, GiveUp};
use smartvm_images::StageDriveError;
use smartvm_images::signature::{KeyError, SigningKey};
use uuid::Uuid;

use super::draft::Draft;
use super::files;
use super::manifest::SnapshotParent;
use super::name::SnapshotName;
use super::store::{SnapshotStore, SnapshotStoreError};
use crate::disk::{DiskLedger, DiskRefused, DiskUse, Growing};
use crate::vm_id::VmId;

/// What `vmstate`, the manifest and the directories may take: Firecracker's own bound, and a little.
const SLACK: u64 = 12 << 20;

/// What Firecracker counts writes by.
const PAGE: u64 = 4096;

/// A snapshot to make. Default: full, with a name made of the VM's id and the time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreateSnapshot {
    /// Its name in the store.
    pub name: Option<SnapshotName>,
    /// Save only what was written since this snapshot, which must be the one that was made of this
    /// VM last, or the one that it was restored from. Needs `trackDirtyPages`.
    pub base: Option<SnapshotName>,
    /// Whether the guest stays paused afterwards. If it was paused before, it does anyway.
    pub keep_paused: bool,
    /// The file of the secret key to sign it with, as [`SigningKey`] reads it.
    pub sign: Option<PathBuf>,
}

impl CreateSnapshot {
    /// A full snapshot of that name.
    #[must_use]
    pub fn full(name: SnapshotName) -> Self {
        Self { name: Some(name), ..Self::default() }
    }

    /// A differential snapshot of that name, on `base`.
    #[must_use]
    pub fn diff(name: SnapshotName, base: SnapshotName) -> Self {
        Self { name: Some(name), base: Some(base), ..Self::default() }
    }
}

/// The reason why a snapshot was not made. Nothing of it is left, and the guest runs if it did.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateSnapshotError {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] SnapshotStoreError),
    /// It cannot be signed.
    #[error("the snapshot cannot be signed")]
    Key(#[from] KeyError),
    /// The disk is too full.
    #[error("the snapshot needs {needed} bytes in {} and {available} are free", dir.display())]
    NoSpace {
        /// Where.
        dir: PathBuf,
        /// What it needs at most.
        needed: u64,
        /// What is free.
        available: u64,
    },
    /// The disk was promised to others.
    #[error(transparent)]
    Disk(#[from] DiskRefused),
    /// The disk was full before the snapshot was whole.
    #[error("{} was full before the snapshot was whole", dir.display())]
    Full {
        /// Where.
        dir: PathBuf,
    },
    /// The guest's changes are not counted from there.
    #[error("the changes of this VM are not counted from snapshot {base}")]
    WrongBase {
        /// The base that was asked for.
        base: SnapshotName,
    },
    /// Nobody counts the guest's changes.
    #[error("the VM does not track which pages of memory are written")]
    NoTracking,
    /// The file system cannot tell one page from the next.
    #[error("{} has blocks of {block} bytes, larger than a page of memory", dir.display())]
    LargeBlocks {
        /// Where.
        dir: PathBuf,
        /// Their size.
        block: u64,
    },
    /// A drive cannot be saved.
    #[error("drive {drive_id} {problem}")]
    Drive {
        /// The drive.
        drive_id: String,
        /// Why not.
        problem: &'static str,
    },
    /// A drive could not be copied.
    #[error("cannot save a drive")]
    CopyDrive(#[from] StageDriveError),
    /// The operating system refused.
    #[error("cannot {action}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl CreateSnapshotError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Key(error) => error.code(),
            Self::Disk(error) => error.code(),
            Self::NoSpace { .. } | Self::Full { .. } => "SNAPSHOT_NO_SPACE",
            Self::WrongBase { .. } => "SNAPSHOT_WRONG_BASE",
            Self::NoTracking => "SNAPSHOT_NOT_TRACKED",
            Self::LargeBlocks { .. } => "SNAPSHOT_LARGE_BLOCKS",
            Self::Drive { .. } => "SNAPSHOT_DRIVE_UNSUITABLE",
            Self::CopyDrive(error) => error.code(),
            Self::Io { .. } => "SNAPSHOT_FAILED",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Store(error) => return error.hint(),
            Self::Key(error) => return error.hint(),
            Self::Disk(error) => return error.hint(),
            Self::CopyDrive(error) => return error.hint(),
            Self::NoSpace { .. } | Self::Full { .. } => {
                "free space there, or choose another data directory (--data-dir)".to_owned()
            }
            Self::WrongBase { .. } => {
                "name the snapshot that was made of this VM last, or make a full one".to_owned()
            }
            Self::NoTracking => {
                "set machineConfig.trackDirtyPages before the start, or make a full snapshot"
                    .to_owned()
            }
            Self::LargeBlocks { .. } => {
                "make a full snapshot, or keep snapshots on another file system".to_owned()
            }
            Self::Drive { .. } | Self::Io { .. } => return None,
        })
    }
}

/// What the VM knows of itself that decides whether a snapshot can be made.
#[derive(Debug, Clone)]
pub(crate) struct Circumstances {
    pub(crate) vm_id: VmId,
    pub(crate) memory_size: u64,
    pub(crate) tracks_dirty_pages: bool,
    /// The state that the guest's changes are counted from.
    pub(crate) counted_from: Option<Uuid>,
}

/// A snapshot that can be made.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) draft: Draft,
    pub(crate) parent: Option<SnapshotParent>,
}

/// Checks what can be checked while the guest still runs, and makes the directory with the two files
/// that Firecracker will fill. `drives` may have to be copied. Blocks.
pub(crate) fn prepare(
    request: &CreateSnapshot,
    store: &Path,
    ledger: DiskLedger,
    vm: &Circumstances,
    drives: &[FileAt],
) -> Result<Prepared, CreateSnapshotError> {
    let key = request.sign.as_deref().map(SigningKey::read).transpose()?;
    let store = SnapshotStore::open(store)?;
    let parent = request.base.as_ref().map(|base| parent(&store, base, vm)).transpose()?;
    let name = match &request.name {
        Some(name) => name.clone(),
        None => default_name(&vm.vm_id),
    };
    let draft = store.draft(&name)?.signed_by(key);
    let failed = |source| CreateSnapshotError::Io { action: "make the snapshot's files", source };
    for file in [files::VMSTATE, files::MEMORY] {
        private_file(&draft.path().join(file)).map_err(failed)?;
    }
    draft.make_drives_dir().map_err(failed)?;
    if parent.is_some() {
        check_blocks(draft.path())?;
    }
    let needed = check_space(&draft, vm, parent.is_some(), drives)?;
    let disk = DiskUse::new(ledger, format!("snapshot {name}"), 0, GiveUp::default());
    let (path, is_shared) = (draft.memory(), false);
    disk.admit(vec![Growing { path, bytes: needed, is_shared }])?;
    Ok(Prepared { draft: draft.with_promise(disk), parent })
}

fn parent(
    store: &SnapshotStore,
    base: &SnapshotName,
    vm: &Circumstances,
) -> Result<SnapshotParent, CreateSnapshotError> {
    let id = store.get(base)?.manifest().id;
    if !vm.tracks_dirty_pages {
        return Err(CreateSnapshotError::NoTracking);
    }
    // Firecracker begins to count anew with each snapshot: any other base would lose changes.
    if vm.counted_from != Some(id) {
        return Err(CreateSnapshotError::WrongBase { base: base.clone() });
    }
    Ok(SnapshotParent { name: base.clone(), id })
}

/// The VM's id and the time in milliseconds: names sort as they were made.
fn default_name(id: &VmId) -> SnapshotName {
    let name = format!("{id}-{}", now_ms());
    name.parse().unwrap_or_else(|_| unreachable!("a VM's id and digits are a snapshot's name"))
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A file that others may read, in a directory that keeps them out: a jailed VM, which is another
/// user, is then given it by a link instead of a copy.
fn private_file(path: &Path) -> io::Result<File> {
    use fs_err::os::unix::fs::OpenOptionsExt;
    fs_err::OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)
}

/// A differential snapshot tells changed pages from others by its holes.
fn check_blocks(dir: &Path) -> Result<(), CreateSnapshotError> {
    let failed = |source| CreateSnapshotError::Io { action: "look at the file system", source };
    let volume = rustix::fs::statfs(dir).map_err(|error| failed(error.into()))?;
    let mut block = u64::try_from(volume.f_bsize).unwrap_or(u64::MAX);
    /// `TMPFS_MAGIC` of `linux/magic.h`: in memory, huge pages are its blocks where it uses them.
    const TMPFS: i64 = 0x0102_1994;
    if volume.f_type == TMPFS {
        block = fs_err::metadata(dir.join(files::MEMORY)).map_err(failed)?.blksize();
    }
    if block > PAGE {
        return Err(CreateSnapshotError::LargeBlocks { dir: dir.to_owned(), block });
    }
    Ok(())
}

/// Returns what it needs at most.
fn check_space(
    draft: &Draft,
    vm: &Circumstances,
    differential: bool,
    drives: &[FileAt],
) -> Result<u64, CreateSnapshotError> {
    let failed = |source| CreateSnapshotError::Io { action: "look for free space", source };
    // How much of the memory has changed nobody tells; when it is too much, Firecracker will.
    let mut needed = SLACK + if differential { 0 } else { vm.memory_size };
    for drive in drives {
        let drive = drive.open(OFlags::RDONLY, Mode::empty()).map_err(failed)?;
        if !shares_blocks(draft, &drive) {
            needed += drive.metadata().map_err(failed)?.blocks() * 512;
        }
    }
    let volume = rustix::fs::statvfs(draft.path()).map_err(|error| failed(error.into()))?;
    let available = volume.f_bavail.saturating_mul(volume.f_frsize);
    if needed > available {
        let dir = draft.path().parent().unwrap_or_else(|| draft.path()).to_owned();
        return Err(CreateSnapshotError::NoSpace { dir, needed, available });
    }
    Ok(needed)
}

/// Whether a copy of the drive would take no space. Tried, since nothing else tells.
fn shares_blocks(draft: &Draft, drive: &File) -> bool {
    let trial = draft.path().join("trial");
    let shared = private_file(&trial)
        .and_then(|target| rustix::fs::ioctl_ficlone(&target, drive).map_err(io::Error::from));
    let _ = fs_err::remove_file(&trial);
    shared.is_ok()
}
