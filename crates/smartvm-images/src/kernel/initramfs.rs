//! The initramfs of a kernel: our init, and the modules it loads.
//!
//! It is not compressed. It is read once from the host's page cache, while unpacking it would cost
//! guest time at every boot.

use std::collections::BTreeSet;

use super::cpio::CpioArchive;
use super::modules::PackedModules;
use super::version::KernelVersion;

/// Builds the archive: `/init`, `/etc/modules` with one absolute path a line in the order to load
/// them in, the modules below `/lib/modules/VERSION`, and `/dev/console` for the first messages.
pub(super) fn build_initramfs(
    init: &[u8],
    modules: &PackedModules,
    version: &KernelVersion,
) -> Vec<u8> {
    let mut archive = CpioArchive::default();
    let paths: Vec<String> =
        modules.files.iter().map(|(path, _)| format!("/lib/modules/{version}/{path}")).collect();
    let mut directories: BTreeSet<&str> = ["/dev", "/etc", "/proc", "/root", "/run", "/sys"].into();
    for path in &paths {
        let ends = path.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0);
        directories.extend(ends.map(|at| &path[..at]));
    }
    // In order, a directory comes before what it holds.
    for directory in directories {
        archive.add_directory(directory);
    }
    archive.add_device("/dev/console", 0o600, (5, 1));
    archive.add_device("/dev/null", 0o666, (1, 3));
    let order: String = paths.iter().flat_map(|path| [path.as_str(), "\n"]).collect();
    archive.add_file("/etc/modules", 0o644, order.as_bytes());
    for (path, (_, contents)) in paths.iter().zip(&modules.files) {
        archive.add_file(path, 0o644, contents);
    }
    archive.add_file("/init", 0o755, init);
    archive.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_come_before_what_they_hold_and_the_order_is_written_down() {
        let modules = PackedModules {
            files: vec![
                ("kernel/drivers/virtio/virtio.ko".to_owned(), b"one".to_vec()),
                ("kernel/drivers/block/virtio_blk.ko".to_owned(), b"two".to_vec()),
            ],
            ..Default::default()
        };
        let archive = build_initramfs(b"program", &modules, &"6.1.0".parse().unwrap());
        let text = String::from_utf8_lossy(&archive);
        let at = |needle: &str| text.find(needle).unwrap_or_else(|| panic!("{needle} is missing"));
        assert!(at("lib/modules/6.1.0\0") < at("lib/modules/6.1.0/kernel\0"));
        assert!(
            at("6.1.0/kernel/drivers/block\0") < at("6.1.0/kernel/drivers/block/virtio_blk.ko\0")
        );
        let order = "/lib/modules/6.1.0/kernel/drivers/virtio/virtio.ko\n\
                     /lib/modules/6.1.0/kernel/drivers/block/virtio_blk.ko\n";
        assert!(text.contains(order));
        assert!(at("dev/console\0") > at("dev\0"));
        assert!(text.contains("program"));
    }

    #[test]
    fn the_same_contents_give_the_same_bytes() {
        let build = || build_initramfs(b"x", &PackedModules::default(), &"6.1".parse().unwrap());
        assert_eq!(build(), build());
    }
}
