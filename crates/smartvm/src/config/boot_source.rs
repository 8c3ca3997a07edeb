//! The kernel that a VM boots, and what it is told.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use smartvm_firecracker::api::BootSource;

use super::invalid::Breaches;

/// Kernel, initial RAM disk and command line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BootSourceConfig {
    /// An uncompressed ELF kernel (`vmlinux`); `smartvm kernel import` makes one out of a
    /// distribution's `vmlinuz`.
    #[serde(default)]
    pub kernel_image_path: PathBuf,
    /// The initial RAM disk, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initrd_path: Option<PathBuf>,
    /// The kernel command line. It replaces Firecracker's default; Firecracker appends `root=` and
    /// `ro` or `rw` for the root drive. Absent: Firecracker's default, which has no serial console.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_args: Option<String>,
}

impl BootSourceConfig {
    /// The longest command line that x86_64 kernels take, in bytes (`COMMAND_LINE_SIZE`).
    pub const MAX_BOOT_ARGS: usize = 2048;

    /// Checks the boot source of a VM that has a PCI bus or not.
    pub(crate) fn check(&self, has_pci: bool, breaches: &mut Breaches) {
        breaches.require(
            !self.kernel_image_path.as_os_str().is_empty(),
            "bootSource.kernelImagePath",
            "must name a kernel",
        );
        if let Some(initrd) = &self.initrd_path {
            breaches.require(
                !initrd.as_os_str().is_empty(),
                "bootSource.initrdPath",
                "must not be empty",
            );
        }
        if let Some(args) = &self.boot_args {
            breaches.require(
                args.len() < Self::MAX_BOOT_ARGS,
                "bootSource.bootArgs",
                "must be shorter than 2048 bytes",
            );
            breaches.require(
                args.chars().all(|c| c == '\t' || (c.is_ascii() && !c.is_ascii_control())),
                "bootSource.bootArgs",
                "must be printable ASCII",
            );
            breaches.require(
                !has_pci || !args.split_ascii_whitespace().any(|arg| arg == "pci=off"),
                "bootSource.bootArgs",
                "must not say `pci=off` when enablePci is on",
            );
        }
    }

    /// Firecracker's form, which knows the files by these names.
    pub(crate) fn to_wire(&self, kernel: &str, initrd: &str) -> BootSource {
        BootSource {
            kernel_image_path: kernel.into(),
            initrd_path: self.initrd_path.is_some().then(|| initrd.into()),
            boot_args: self.boot_args.clone(),
        }
    }
}
