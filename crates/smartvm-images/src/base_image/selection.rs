//! Which of a bucket's objects make a bundle.

use std::cmp::Ordering;

use super::rootfs_type::RootfsType;
use crate::release::{ReleaseVersion, parse_number};

/// The objects that were chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selection {
    pub(super) kernel: String,
    pub(super) rootfs: String,
    pub(super) rootfs_type: RootfsType,
}

/// What is missing for a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NothingSuitable {
    /// A kernel.
    #[error("it has no kernel for this version of Firecracker")]
    Kernel,
    /// A root file system.
    #[error("it has no ubuntu root file system")]
    Rootfs,
}

/// Chooses among the keys of one directory: the highest kernel that `firecracker` can boot, the
/// highest `ubuntu-*.squashfs`, else the highest `ubuntu-*.ext4`.
pub(super) fn select<'a>(
    keys: impl Iterator<Item = &'a str> + Clone,
    firecracker: ReleaseVersion,
) -> Result<Selection, NothingSuitable> {
    let newest = newest_kernel(firecracker);
    let kernel = keys
        .clone()
        .filter_map(|key| Some((kernel_version(key)?, key)))
        .filter(|(version, _)| newest.is_none_or(|newest| (version[0], version[1]) <= newest))
        .max()
        .map(|(_, key)| key.to_owned())
        .ok_or(NothingSuitable::Kernel)?;
    let highest = |kind: RootfsType| {
        let is_one = |key: &&str| is_ubuntu(key, kind);
        let key = keys.clone().filter(is_one).max_by(|a, b| by_number(a, b))?;
        Some((key.to_owned(), kind))
    };
    let (rootfs, rootfs_type) = highest(RootfsType::Squashfs)
        .or_else(|| highest(RootfsType::Ext4))
        .ok_or(NothingSuitable::Rootfs)?;
    Ok(Selection { kernel, rootfs, rootfs_type })
}

/// The newest kernel, as major and minor, that a Firecracker is known to boot.
///
/// The CI's kernels since 6.1 have ACPI and take no devices from the command line: Firecracker 1.7
/// and older has no ACPI. 6.18 guests are official since 1.17.
fn newest_kernel(firecracker: ReleaseVersion) -> Option<(u32, u32)> {
    if firecracker < ReleaseVersion::new(1, 8, 0) {
        Some((5, 10))
    } else if firecracker < ReleaseVersion::new(1, 17, 0) {
        Some((6, 1))
    } else {
        None
    }
}

/// The version of `…/vmlinux-A.B.C`; not of debug builds, variants or configurations.
fn kernel_version(key: &str) -> Option<[u32; 3]> {
    if key.split('/').any(|part| part == "debug") {
        return None;
    }
    let version = file_name(key).strip_prefix("vmlinux-")?;
    let mut numbers = version.split('.').map(parse_number);
    let version = [numbers.next()??, numbers.next()??, numbers.next()??];
    numbers.next().is_none().then_some(version)
}

fn is_ubuntu(key: &str, kind: RootfsType) -> bool {
    let name = file_name(key);
    let stem = name.strip_suffix(kind.as_str()).and_then(|stem| stem.strip_suffix('.'));
    stem.and_then(|stem| stem.strip_prefix("ubuntu-")).is_some_and(|version| !version.is_empty())
}

fn file_name(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

/// Compares texts with the numbers in them as numbers: `22.04` before `100.04`.
fn by_number(a: &str, b: &str) -> Ordering {
    let (mut a_rest, mut b_rest) = (a, b);
    while !a_rest.is_empty() && !b_rest.is_empty() {
        let (a_part, b_part);
        (a_part, a_rest) = split_part(a_rest);
        (b_part, b_rest) = split_part(b_rest);
        let is_number = |part: &str| part.starts_with(|c: char| c.is_ascii_digit());
        let order = if is_number(a_part) && is_number(b_part) {
            let plain = |part: &'_ str| part.trim_start_matches('0').to_owned();
            let (a_part, b_part) = (plain(a_part), plain(b_part));
            a_part.len().cmp(&b_part.len()).then_with(|| a_part.cmp(&b_part))
        } else {
            a_part.cmp(b_part)
        };
        if order.is_ne() {
            return order;
        }
    }
    a_rest.len().cmp(&b_rest.len()).then_with(|| a.cmp(b))
}

/// The digits or the other characters that a text begins with, and the rest.
fn split_part(text: &str) -> (&str, &str) {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIR: &str = "firecracker-ci/v1.12/x86_64";

    fn chosen(names: &[&str], version: (u32, u32)) -> Result<(String, String), NothingSuitable> {
        let keys: Vec<_> = names.iter().map(|name| format!("{DIR}/{name}")).collect();
        let version = ReleaseVersion::new(version.0, version.1, 1);
        let selection = select(keys.iter().map(String::as_str), version)?;
        let short = |key: String| key.strip_prefix(&format!("{DIR}/")).unwrap().to_owned();
        Ok((short(selection.kernel), short(selection.rootfs)))
    }

    #[test]
    fn the_highest_kernel_by_number_is_chosen() {
        let names = [
            "vmlinux-5.10.99",
            "vmlinux-5.10.233",
            "vmlinux-6.1.99",
            "vmlinux-6.1.128",
            "vmlinux-6.1.128.config",
            "vmlinux-6.1.129-no-acpi",
            "debug/vmlinux-6.1.200",
            "bzImage-6.1.201",
            "vmlinux-6.1",
            "ubuntu-24.04.squashfs",
        ];
        assert_eq!(chosen(&names, (1, 12)).unwrap().0, "vmlinux-6.1.128");
    }

    #[test]
    fn the_kernel_fits_the_version_of_firecracker() {
        let names = ["vmlinux-5.10.2", "vmlinux-6.1.1", "vmlinux-6.18.3", "ubuntu-1.squashfs"];
        for (version, kernel) in [
            ((1, 7), "vmlinux-5.10.2"),
            ((1, 8), "vmlinux-6.1.1"),
            ((1, 15), "vmlinux-6.1.1"),
            ((1, 16), "vmlinux-6.1.1"),
            ((1, 17), "vmlinux-6.18.3"),
        ] {
            assert_eq!(chosen(&names, version).unwrap().0, kernel, "{version:?}");
        }
        assert_eq!(chosen(&names[1..], (1, 7)), Err(NothingSuitable::Kernel));
    }

    #[test]
    fn squashfs_is_preferred_and_the_highest_of_a_kind_is_chosen() {
        let mut names = vec![
            "vmlinux-5.10.1",
            "ubuntu-22.04.ext4",
            "ubuntu-100.04.ext4",
            "ubuntu-22.04.id_rsa",
            "ubuntu-24.04.manifest",
            "amazonlinux-2023.squashfs",
            "ubuntu-.squashfs",
        ];
        assert_eq!(chosen(&names, (1, 12)).unwrap().1, "ubuntu-100.04.ext4");
        names.extend(["ubuntu-22.04.squashfs", "ubuntu-24.04.squashfs"]);
        assert_eq!(chosen(&names, (1, 12)).unwrap().1, "ubuntu-24.04.squashfs");
        assert_eq!(chosen(&names[..1], (1, 12)), Err(NothingSuitable::Rootfs));
    }

    #[test]
    fn numbers_in_names_are_compared_as_numbers() {
        for (less, more) in [("a9", "a10"), ("a9b", "a09c"), ("a", "a1"), ("22.04", "100.04")] {
            assert_eq!(by_number(less, more), Ordering::Less, "{less} {more}");
            assert_eq!(by_number(more, less), Ordering::Greater, "{less} {more}");
        }
        assert_eq!(by_number("a1", "a1"), Ordering::Equal);
    }
}
