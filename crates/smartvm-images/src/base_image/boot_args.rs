//! What a guest's kernel is told.

use super::arch::Arch;
use super::rootfs_type::RootfsType;

/// Console on the serial port, a reboot or panic ends Firecracker, no search for PCI devices.
const BASE: &str = "console=ttyS0 reboot=k panic=1 pci=off";

/// The command line of a bundle whose manifest says none.
///
/// ```
/// use smartvm_images::base_image::{Arch, RootfsType, default_boot_args};
/// let args = default_boot_args(Arch::Aarch64, RootfsType::Squashfs);
/// assert!(args.starts_with("keep_bootcon console=ttyS0"));
/// assert!(args.ends_with(" ro rootfstype=squashfs"));
/// ```
#[must_use]
pub fn default_boot_args(arch: Arch, rootfs_type: RootfsType) -> String {
    let first = match arch {
        Arch::X86_64 => "",
        Arch::Aarch64 => "keep_bootcon ",
    };
    let last = match rootfs_type {
        RootfsType::Ext4 => "",
        RootfsType::Squashfs => " ro rootfstype=squashfs",
    };
    format!("{first}{BASE}{last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_follows_architecture_and_root() {
        assert_eq!(default_boot_args(Arch::X86_64, RootfsType::Ext4), BASE);
        assert_eq!(
            default_boot_args(Arch::Aarch64, RootfsType::Ext4),
            "keep_bootcon console=ttyS0 reboot=k panic=1 pci=off"
        );
        assert_eq!(
            default_boot_args(Arch::X86_64, RootfsType::Squashfs),
            "console=ttyS0 reboot=k panic=1 pci=off ro rootfstype=squashfs"
        );
    }
}
