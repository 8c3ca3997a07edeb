//! Where an image is.

use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::settings::{Settings, absolute};

/// An image that is to be made: its directory is made if it is ours.
pub(super) fn of_new(image: &Path, settings: &Settings) -> Result<PathBuf, Failure> {
    let place = of(image, settings)?;
    if !is_path(image) {
        make_dir(&settings.rootfs_dir())?;
    }
    Ok(place)
}

/// An image that is there.
pub(super) fn of(image: &Path, settings: &Settings) -> Result<PathBuf, Failure> {
    if is_path(image) {
        return absolute(image);
    }
    let is_hidden = image.as_os_str().as_encoded_bytes().starts_with(b".");
    if image.file_name() != Some(image.as_os_str()) || is_hidden {
        let message = format!("`{}` is not a name for an image", image.display());
        let hint = "begin with no dot, or write a path with a slash";
        return Err(Failure::new("USAGE", message).with_hint(hint));
    }
    Ok(settings.rootfs_dir().join(image))
}

fn is_path(image: &Path) -> bool {
    image.as_os_str().as_encoded_bytes().contains(&b'/')
}

/// Root file systems may hold keys: they are their owner's alone.
fn make_dir(dir: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| {
        let message = format!("failed to make `{}`", dir.display());
        Failure::new("ROOTFS_CREATE_FAILED", message).caused_by(&error)
    })
}
