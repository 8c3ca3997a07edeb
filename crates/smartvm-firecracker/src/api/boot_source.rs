//! `PUT /boot-source`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The kernel, its initial RAM disk and its command line. Before boot only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootSource {
    /// An uncompressed ELF kernel (x86_64) or PE image (aarch64), as Firecracker sees the path.
    /// It is opened when the request is made.
    pub kernel_image_path: PathBuf,
    /// The initial RAM disk; none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initrd_path: Option<PathBuf>,
    /// Replaces Firecracker's default command line, to which it still appends `root=` and
    /// `ro`/`rw`. At most 2048 bytes with what is appended on x86_64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_args: Option<String>,
}
