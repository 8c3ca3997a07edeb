//! Keeping the base image that a VM boots from.

use std::path::Path;

use smartvm_images::base_image::BundleLease;

use super::handle::VmSetup;
use crate::smart_vm_error::SmartVmError;

/// Leases on the bundles of the cache that the VM has files of: they are not removed before it has
/// ended.
pub(super) async fn lease(setup: &VmSetup) -> Result<Vec<BundleLease>, SmartVmError> {
    let cache = setup.options.base_image_cache();
    if !BundleLease::is_cache(&cache) {
        return Ok(Vec::new());
    }
    let config = setup.spec.config();
    let boot = &config.boot_source;
    let drives = config.drives.iter().map(|drive| drive.path_on_host.clone());
    let pmem = config.pmem.iter().map(|device| device.path_on_host.clone());
    let files: Vec<_> = std::iter::once(boot.kernel_image_path.clone())
        .chain(boot.initrd_path.clone())
        .chain(drives)
        .chain(pmem)
        .collect();
    let taking = tokio::task::spawn_blocking(move || {
        let taken = BundleLease::take_for(&cache, files.iter().map(|file| Path::new(file)));
        taken.map_err(|source| SmartVmError::LeaseImage { path: cache, source })
    });
    taking.await.map_err(|panic| SmartVmError::Bug { what: panic.to_string() })?
}
