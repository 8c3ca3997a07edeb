//! A VM that boots a base image.

use smartvm_images::base_image::BaseImageBundle;

use super::boot_source::BootSourceConfig;
use super::drive::DriveConfig;
use super::vm_config::VmConfig;

impl VmConfig {
    /// A VM that boots a base image: its kernel, command line and root drive. The rest is the default.
    #[must_use]
    pub fn booting(image: &BaseImageBundle) -> Self {
        Self {
            boot_source: BootSourceConfig {
                kernel_image_path: image.kernel_image_path.clone(),
                initrd_path: image.initrd_path.clone(),
                boot_args: Some(image.boot_args.clone()),
            },
            drives: vec![DriveConfig {
                drive_id: "rootfs".to_owned(),
                path_on_host: image.rootfs_path.clone(),
                is_root_device: true,
                is_read_only: Some(image.rootfs_is_read_only),
                ..DriveConfig::default()
            }],
            ..Self::default()
        }
    }
}
