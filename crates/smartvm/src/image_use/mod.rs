//! What a VM uses of the host's images, and what that keeps others from.

mod images_in_use;

pub use images_in_use::UseImageError;
pub(crate) use images_in_use::{ImageUse, ImagesInUse};
