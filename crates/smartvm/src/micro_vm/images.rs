//! Keeping what a VM has from others.

use std::path::PathBuf;

use super::files::{Content, ContentKind, contents};
use super::handle::VmSetup;
use crate::home::Access;
use crate::image_use::ImagesInUse;
use crate::smart_vm_error::SmartVmError;
use crate::snapshot::{DriveContent, RestorePlan};

/// Keeps the base images that the VM boots from and copies: before any of it is looked at, until the VM's directory
/// goes.
pub(super) async fn keep(setup: &VmSetup) -> Result<ImagesInUse, SmartVmError> {
    let images = of(setup);
    let kept = images.clone();
    let boot = setup.spec.config().boot_source.clone();
    let devices = contents(&setup.spec, setup.options.ephemeral_writable_drives);
    in_background(move || {
        let sources = devices.iter().map(|(content, _)| content.source.as_path());
        let boot = std::iter::once(&*boot.kernel_image_path).chain(boot.initrd_path.as_deref());
        Ok(kept.keep_bundles(boot.chain(sources))?)
    })
    .await?;
    Ok(images)
}

/// Takes the images that the VM's devices have as they are. Of private copies, whoever makes one looks after that.
pub(super) async fn take(setup: &VmSetup, images: &ImagesInUse) -> Result<(), SmartVmError> {
    let devices = contents(&setup.spec, setup.options.ephemeral_writable_drives);
    let images = images.clone();
    in_background(move || {
        for (Content { source, kind }, name) in &devices {
            if let ContentKind::Shared(access) = *kind {
                images.put(name, Some(images.begin(source, access)?));
            }
        }
        Ok(())
    })
    .await
}

/// The same for a VM that goes on from a snapshot, whose drives are copies or files of the host.
pub(super) async fn take_for_restore(
    setup: &VmSetup,
    plan: &RestorePlan,
) -> Result<ImagesInUse, SmartVmError> {
    let images = of(setup);
    let taken = images.clone();
    let drives = plan.snapshot.manifest().drives.iter();
    let shared: Vec<(PathBuf, PathBuf)> = drives
        .filter(|drive| matches!(drive.content, DriveContent::Shared { .. }))
        .map(|drive| (plan.snapshot.drive_path(drive), drive.path.clone()))
        .collect();
    in_background(move || {
        for (file, name) in &shared {
            taken.put(name, Some(taken.begin(file, Access::ReadOnly)?));
        }
        Ok(())
    })
    .await?;
    Ok(images)
}

fn of(setup: &VmSetup) -> ImagesInUse {
    let options = &setup.options;
    ImagesInUse::new(setup.spec.id().clone(), options.base_image_cache(), options.uid_range)
}

async fn in_background(
    work: impl FnOnce() -> Result<(), SmartVmError> + Send + 'static,
) -> Result<(), SmartVmError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|panic| SmartVmError::Bug { what: panic.to_string() })?
}
