//! The files of a VM, under the names that its Firecracker knows them by.

use std::io;
use std::path::{Path, PathBuf};

use smartvm_images::{StageDrive, begin_growing_drives};

use super::attempt::Staging;
use super::handle::VmSetup;
use super::outputs;
use crate::config::{DriveConfig, DriveSpec, PmemConfig, VmSpec};
use crate::disk::{DiskUse, Growing};
use crate::home::{Access, WorkDir};
use crate::image_use::ImagesInUse;
use crate::smart_vm_error::SmartVmError;

/// The names, in the work directory.
pub(super) const KERNEL: &str = "kernel";
pub(super) const INITRD: &str = "initrd";
const DRIVES: &str = "drives";
const PMEM: &str = "pmem";
/// Where the guest's serial port leads, when it is not the console.
pub(super) const SERIAL: &str = "serial.out";

/// A content of a drive or of a persistent memory device, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) source: PathBuf,
    pub(super) kind: ContentKind,
}

/// How a VM uses a file of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ContentKind {
    /// A private copy that goes with the VM.
    Copied,
    /// The file itself.
    Shared(Access),
    /// The socket of a server that has the content.
    Served,
}

impl Content {
    /// What a drive holds; of a vhost-user drive, its server's socket. `ephemeral` is the manager's
    /// `ephemeralWritableDrives`.
    pub(super) fn of_drive(drive: &DriveConfig, ephemeral: bool) -> Self {
        match &drive.socket {
            Some(socket) => Self { source: socket.clone(), kind: ContentKind::Served },
            None => {
                let is_read_only = drive.is_read_only == Some(true);
                Self::new(&drive.path_on_host, drive.is_staged(ephemeral), is_read_only)
            }
        }
    }

    /// What a persistent memory device holds.
    pub(super) fn of_pmem(device: &PmemConfig, ephemeral: bool) -> Self {
        let is_read_only = device.read_only == Some(true);
        Self::new(&device.path_on_host, device.is_staged(ephemeral), is_read_only)
    }

    fn new(source: &Path, is_staged: bool, is_read_only: bool) -> Self {
        let kind = match (is_staged, is_read_only) {
            (true, _) => ContentKind::Copied,
            (false, true) => ContentKind::Shared(Access::ReadOnly),
            (false, false) => ContentKind::Shared(Access::ReadWrite),
        };
        Self { source: source.to_owned(), kind }
    }

    /// Puts the content at `name`, where it is for the device with the name `device`. Blocks for as long as a
    /// copy takes, which nobody may write to meanwhile.
    pub(super) fn put(
        &self,
        work_dir: &WorkDir,
        name: &Path,
        device: &Path,
        (images, disk): (&ImagesInUse, &DiskUse),
    ) -> Result<(), SmartVmError> {
        let path = work_dir.host_path(name);
        let unusable = |source| SmartVmError::Adopt { path: path.clone(), source };
        match self.kind {
            ContentKind::Copied => {
                let _reading = images.begin_to_copy(&self.source)?;
                let target = work_dir.place(name).map_err(unusable)?;
                let source = self.source.as_path().into();
                let place = work_dir.host_path(device);
                copy_growing(&[StageDrive { source, target }], Some(place), disk)?;
                work_dir.adopt(name).map_err(unusable)
            }
            ContentKind::Shared(access) => {
                work_dir.expose(&self.source, name, access).map_err(unusable)
            }
            ContentKind::Served => {
                work_dir.expose(&self.source, name, Access::ReadWrite).map_err(unusable)
            }
        }
    }
}

/// The name of a drive.
pub(super) fn drive_name(drive: &DriveSpec) -> PathBuf {
    Path::new(DRIVES).join(drive.staged_name())
}

/// The name of a persistent memory device.
pub(super) fn pmem_name(id: &str) -> PathBuf {
    Path::new(PMEM).join(id)
}

/// Makes everything that `setup` names reachable, but for the private copies: they are under way
/// when this returns, and what awaits them is put into `staging`.
pub(super) fn lay_out(
    setup: &VmSetup,
    (images, disk): (&ImagesInUse, &DiskUse),
    work_dir: &WorkDir,
    staging: &mut Staging,
) -> io::Result<()> {
    let spec = &setup.spec;
    let boot_source = &spec.config().boot_source;
    work_dir.expose(&boot_source.kernel_image_path, Path::new(KERNEL), Access::ReadOnly)?;
    if let Some(initrd) = &boot_source.initrd_path {
        work_dir.expose(initrd, Path::new(INITRD), Access::ReadOnly)?;
    }
    if outputs::serial_file(setup).is_none()
        && let Some(path) = spec.config().serial.as_ref().and_then(|it| it.serial_out_path.as_ref())
    {
        work_dir.expose(path, Path::new(SERIAL), Access::ReadWrite)?;
    }
    let mut copies = Vec::new();
    for (content, name) in contents(spec, setup.options.ephemeral_writable_drives) {
        if let Some(dir) = name.parent().and_then(Path::to_str) {
            work_dir.make_dir(dir)?;
        }
        match content.kind {
            ContentKind::Copied => copies.push((content, name)),
            ContentKind::Shared(access) => work_dir.expose(&content.source, &name, access)?,
            ContentKind::Served => work_dir.expose(&content.source, &name, Access::ReadWrite)?,
        }
    }
    if !copies.is_empty() {
        let (work_dir, images, disk) = (work_dir.clone(), images.clone(), disk.clone());
        let copy = move || copy_all(&copies, &work_dir, &images, &disk);
        *staging = Some(tokio::task::spawn_blocking(copy));
    }
    Ok(())
}

/// Makes the private copies, several at once. Blocks for as long as the longest takes.
fn copy_all(
    copies: &[(Content, PathBuf)],
    work_dir: &WorkDir,
    images: &ImagesInUse,
    disk: &DiskUse,
) -> Result<(), SmartVmError> {
    let reading = copies.iter().map(|(content, _)| images.begin_to_copy(&content.source));
    let _reading: Vec<_> = reading.collect::<Result<_, _>>()?;
    let copies = copies.iter().map(|(content, name)| (content.source.as_path(), name.as_path()));
    stage(&copies.collect::<Vec<_>>(), work_dir, disk)
}

/// Copies each file to its name in the work directory, and gives it to the VM.
pub(super) fn stage(
    copies: &[(&Path, &Path)],
    work_dir: &WorkDir,
    disk: &DiskUse,
) -> Result<(), SmartVmError> {
    let unusable = |name: &Path, source| {
        let path = work_dir.host_path(name);
        SmartVmError::Adopt { path, source }
    };
    let place = |(source, name): &(&Path, &Path)| {
        let target = work_dir.place(name).map_err(|source| unusable(name, source))?;
        Ok(StageDrive { source: (*source).into(), target })
    };
    let drives: Vec<_> = copies.iter().map(place).collect::<Result<_, SmartVmError>>()?;
    copy_growing(&drives, None, disk)?;
    let mut names = copies.iter().map(|(_, name)| *name);
    names.try_for_each(|name| work_dir.adopt(name).map_err(|source| unusable(name, source)))
}

/// Makes private copies that the guest will write to, once what they may come to take was promised; `place` is
/// where they will be, if that is elsewhere. All, or none. Blocks.
fn copy_growing(
    drives: &[StageDrive],
    place: Option<PathBuf>,
    disk: &DiskUse,
) -> Result<(), SmartVmError> {
    let begun = begin_growing_drives(drives)?;
    let mut growing: Vec<Growing> = begun.growth().map(Growing::from).collect();
    let there = growing.iter().map(|file| file.path.clone()).collect::<Vec<_>>();
    if let (Some(path), Some(copy)) = (place, growing.first().cloned())
        && !there.contains(&path)
    {
        growing.push(Growing { path, ..copy });
    }
    disk.admit(growing)?;
    begun.copy()?;
    Ok(())
}

/// What each device of `spec` holds, and its name.
pub(super) fn contents(spec: &VmSpec, ephemeral: bool) -> Vec<(Content, PathBuf)> {
    let drives = spec.drives.iter().map(|drive| {
        let config = drive.config();
        (Content::of_drive(config, ephemeral), drive_name(drive))
    });
    let pmem = spec.config().pmem.iter();
    let pmem = pmem.map(|device| (Content::of_pmem(device, ephemeral), pmem_name(&device.id)));
    drives.chain(pmem).collect()
}
