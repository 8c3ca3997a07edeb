//! The images of one VM.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use smartvm_images::base_image::BundleLease;
use smartvm_images::{ImageLock, ImageLockError};

use crate::home::Access;
use crate::jail::UidRange;
use crate::vm_id::VmId;

/// The images that a VM's devices have, each under the device's name in its work directory. Clones are the same
/// ones: they are let go when the device gives them up, or with the last clone.
///
/// The VM's directory holds one, since a file that was lent to a jail is given back when that goes: not before then
/// may somebody else write to it.
#[derive(Debug, Clone)]
pub(crate) struct ImagesInUse {
    vm: VmId,
    cache: PathBuf,
    uids: UidRange,
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    of_devices: BTreeMap<PathBuf, Arc<ImageUse>>,
    of_vm: Vec<BundleLease>,
}

/// What keeps others from an image. It is let go with the last clone.
#[derive(Debug)]
#[must_use = "dropping it lets the image go"]
pub(crate) struct ImageUse {
    lock: ImageLock,
    access: Access,
    _leases: Vec<BundleLease>,
}

/// An image that the VM cannot use now.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UseImageError {
    /// It is used by somebody, in a way that does not go together with this one.
    #[error(transparent)]
    Lock(#[from] ImageLockError),
    /// It belongs to a user that only VMs are.
    #[error("`{}` belongs to user {uid}, which is one of VMs", path.display())]
    OfAVm {
        /// The image.
        path: PathBuf,
        /// The user.
        uid: u32,
    },
    /// The base image that it is part of cannot be kept from being removed.
    #[error("failed to keep the base images in {} from being removed", path.display())]
    Lease {
        /// The cache.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl UseImageError {
    /// The stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Lock(error) => error.code(),
            Self::OfAVm { .. } => "IMAGE_OF_A_VM",
            Self::Lease { .. } => "BASE_IMAGE_CACHE_FAILED",
        }
    }

    /// What the person who asked for it can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Lock(error) => error.hint(),
            Self::OfAVm { path, .. } => Some(format!(
                "it was lent to a VM and not given back: see that none uses it, then chown root {}",
                path.display()
            )),
            Self::Lease { .. } => None,
        }
    }
}

impl ImagesInUse {
    /// None yet. `cache` is where base images are, and no image of a user in `uids` is written to.
    pub(crate) fn new(vm: VmId, cache: PathBuf, uids: UidRange) -> Self {
        Self { vm, cache, uids, held: Arc::default() }
    }

    /// Begins to use an image as it is, alone when the VM writes to it. Blocks for a moment.
    pub(crate) fn begin(
        &self,
        image: &Path,
        access: Access,
    ) -> Result<Arc<ImageUse>, UseImageError> {
        let who = format!("VM `{}`", self.vm);
        let lock = match access {
            Access::ReadOnly => ImageLock::to_read(image, &who)?,
            Access::ReadWrite => ImageLock::to_write(image, &who)?,
        };
        if access == Access::ReadWrite {
            let uid = found(image, lock.metadata())?.uid();
            if self.uids.contains(uid) {
                return Err(UseImageError::OfAVm { path: image.to_owned(), uid });
            }
        }
        Ok(Arc::new(ImageUse { lock, access, _leases: self.lease([image])? }))
    }

    /// Keeps an image as it is while it is copied, and what it is part of. What cannot be opened is left to whoever
    /// copies it.
    pub(crate) fn begin_to_copy(
        &self,
        image: &Path,
    ) -> Result<Option<Arc<ImageUse>>, UseImageError> {
        match self.begin(image, Access::ReadOnly) {
            Err(UseImageError::Lock(ImageLockError::Io { .. })) => Ok(None),
            other => other.map(Some),
        }
    }

    /// As [`begin`](Self::begin), for a device that may have this very image already, as when it was made larger.
    pub(crate) fn begin_again(
        &self,
        device: &Path,
        image: &Path,
        access: Access,
    ) -> Result<Arc<ImageUse>, UseImageError> {
        let former = self.lock().of_devices.get(device).cloned();
        if let Some(former) = former.filter(|former| former.access == access) {
            let ours = found(image, former.lock.metadata())?;
            let there = found(image, fs_err::metadata(image))?;
            if (ours.dev(), ours.ino()) == (there.dev(), there.ino()) {
                return Ok(former);
            }
        }
        self.begin(image, access)
    }

    /// Keeps the base images that have these files for as long as the VM has anything.
    pub(crate) fn keep_bundles<'a>(
        &self,
        files: impl IntoIterator<Item = &'a Path>,
    ) -> Result<(), UseImageError> {
        let leases = self.lease(files)?;
        self.lock().of_vm.extend(leases);
        Ok(())
    }

    /// Notes what a device has now. What it had before is let go.
    pub(crate) fn put(&self, device: &Path, image: Option<Arc<ImageUse>>) {
        let former = match image {
            Some(image) => self.lock().of_devices.insert(device.to_owned(), image),
            None => self.lock().of_devices.remove(device),
        };
        drop(former);
    }

    fn lease<'a>(
        &self,
        files: impl IntoIterator<Item = &'a Path>,
    ) -> Result<Vec<BundleLease>, UseImageError> {
        if !BundleLease::is_cache(&self.cache) {
            return Ok(Vec::new());
        }
        let failed = |source| UseImageError::Lease { path: self.cache.clone(), source };
        BundleLease::take_for(&self.cache, files).map_err(failed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn found(image: &Path, found: io::Result<Metadata>) -> Result<Metadata, UseImageError> {
    let failed = |source| ImageLockError::Io { path: image.to_owned(), source };
    Ok(found.map_err(failed)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(dir: &Path) -> ImagesInUse {
        let id = VmId::try_from("web".to_owned()).unwrap();
        ImagesInUse::new(id, dir.join("cache"), UidRange::default())
    }

    #[test]
    fn a_device_s_former_image_is_let_go_when_it_has_another() {
        let dir = tempfile::tempdir().unwrap();
        let [first, second] = ["first", "second"].map(|name| dir.path().join(name));
        fs_err::write(&first, "x").unwrap();
        fs_err::write(&second, "x").unwrap();
        let (images, device) = (images(dir.path()), Path::new("drives/a"));
        images.put(device, Some(images.begin(&first, Access::ReadWrite).unwrap()));
        let other = images.begin(&first, Access::ReadOnly).unwrap_err();
        assert_eq!(other.code(), "IMAGE_IN_USE");
        assert!(other.to_string().contains("VM `web`"), "{other}");
        let again = images.begin_again(device, &first, Access::ReadWrite).unwrap();
        images.put(device, Some(again));
        ImageLock::to_write(&first, "x").unwrap_err();
        images.put(device, Some(images.begin_again(device, &second, Access::ReadWrite).unwrap()));
        ImageLock::to_write(&first, "x").unwrap();
        ImageLock::to_write(&second, "x").unwrap_err();
        drop(images);
        ImageLock::to_write(&second, "x").unwrap();
    }
}
