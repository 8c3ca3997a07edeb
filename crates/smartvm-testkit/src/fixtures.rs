//! The large files that tests need and no repository should hold.
//!
//! `cargo xtask fixtures` puts them below `target/fixtures` of the workspace, and environment
//! variables can name others:
//!
//! | function | variable | default |
//! |---|---|---|
//! | [`firecracker`] | `SMARTVM_FIRECRACKER` | `target/fixtures/firecracker` |
//! | [`newer_firecracker`] | `SMARTVM_NEWER_FIRECRACKER` | none |
//! | [`jailer`] | `SMARTVM_JAILER` | `target/fixtures/jailer` |
//! | [`kernel_image`] | `SMARTVM_KERNEL_IMAGE` | `target/fixtures/kernel/vmlinuz` |
//! | [`kernel_modules`] | `SMARTVM_KERNEL_MODULES` | `target/fixtures/kernel/modules` |
//! | [`imported_kernels`] | `SMARTVM_IMPORTED_KERNELS` | `target/fixtures/imported/kernels` |
//! | [`agent`] | `SMARTVM_AGENT` | `target/fixtures/agent` |
//! | [`busybox`] | `SMARTVM_BUSYBOX` | `target/fixtures/busybox` |
//! | [`rootfs_ext4`] | `SMARTVM_ROOTFS_EXT4` | `target/fixtures/rootfs.ext4` |
//! | [`rootfs_squashfs`] | `SMARTVM_ROOTFS_SQUASHFS` | `target/fixtures/rootfs.squashfs` |
//! | [`rootfs_tar`] | `SMARTVM_ROOTFS_TAR` | `target/fixtures/rootfs.tar.gz` |
//! | [`firewalls`] | `SMARTVM_FIREWALLS` | `target/fixtures/firewalls` |
//! | [`command`] | `SMARTVM_COMMAND` | `target/debug/smartvm` |
//!
//! All of them panic when the file is missing, since a test that needs it could only pass for the
//! wrong reason.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The real Firecracker.
#[must_use]
#[track_caller]
pub fn firecracker() -> PathBuf {
    fixture("SMARTVM_FIRECRACKER", "fixtures/firecracker")
}

/// Another Firecracker to try what the real one is too old for. None is fetched: what needs it is run where
/// somebody names one.
///
/// # Panics
/// When nobody does.
#[must_use]
#[track_caller]
pub fn newer_firecracker() -> PathBuf {
    let named = given("SMARTVM_NEWER_FIRECRACKER").map(PathBuf::from);
    named.expect("SMARTVM_NEWER_FIRECRACKER names a newer Firecracker")
}

/// The jailer of the same release.
#[must_use]
#[track_caller]
pub fn jailer() -> PathBuf {
    fixture("SMARTVM_JAILER", "fixtures/jailer")
}

/// A distribution's kernel, as it comes.
#[must_use]
#[track_caller]
pub fn kernel_image() -> PathBuf {
    fixture("SMARTVM_KERNEL_IMAGE", "fixtures/kernel/vmlinuz")
}

/// The directory of that kernel's modules, as `/lib/modules/VERSION` would be.
#[must_use]
#[track_caller]
pub fn kernel_modules() -> PathBuf {
    fixture("SMARTVM_KERNEL_MODULES", "fixtures/kernel/modules")
}

/// A kernel store with that kernel in it, and with [`agent`] as its init.
#[must_use]
#[track_caller]
pub fn imported_kernels() -> PathBuf {
    fixture("SMARTVM_IMPORTED_KERNELS", "fixtures/imported/kernels")
}

/// Our static init for guests.
#[must_use]
#[track_caller]
pub fn agent() -> PathBuf {
    fixture("SMARTVM_AGENT", "fixtures/agent")
}

/// A static busybox: the userspace of test guests.
#[must_use]
#[track_caller]
pub fn busybox() -> PathBuf {
    fixture("SMARTVM_BUSYBOX", "fixtures/busybox")
}

/// A small root file system in ext4.
#[must_use]
#[track_caller]
pub fn rootfs_ext4() -> PathBuf {
    fixture("SMARTVM_ROOTFS_EXT4", "fixtures/rootfs.ext4")
}

/// The same in squashfs.
#[must_use]
#[track_caller]
pub fn rootfs_squashfs() -> PathBuf {
    fixture("SMARTVM_ROOTFS_SQUASHFS", "fixtures/rootfs.squashfs")
}

/// The same as an archive, compressed with gzip.
#[must_use]
#[track_caller]
pub fn rootfs_tar() -> PathBuf {
    fixture("SMARTVM_ROOTFS_TAR", "fixtures/rootfs.tar.gz")
}

/// The packages of Docker and firewalld, unpacked.
#[must_use]
#[track_caller]
pub fn firewalls() -> PathBuf {
    fixture("SMARTVM_FIREWALLS", "fixtures/firewalls")
}

/// The `smartvm` command.
#[must_use]
#[track_caller]
pub fn command() -> PathBuf {
    fixture("SMARTVM_COMMAND", "debug/smartvm")
}

#[track_caller]
fn fixture(variable: &str, default: &str) -> PathBuf {
    match locate(given(variable), default) {
        Ok(path) => path,
        Err(path) => panic!(
            "{} does not exist: run `cargo xtask fixtures`, or name another in {variable}",
            path.display()
        ),
    }
}

#[expect(clippy::disallowed_methods, reason = "this is how xtask tells tests where files are")]
fn given(variable: &str) -> Option<OsString> {
    std::env::var_os(variable)
}

/// The file to use, or the one that is missing.
fn locate(given: Option<OsString>, default: &str) -> Result<PathBuf, PathBuf> {
    let path = given.map_or_else(|| target_dir().join(default), PathBuf::from);
    if path.exists() { Ok(path) } else { Err(path) }
}

fn target_dir() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    workspace.expect("this crate is two levels below its workspace").join("target")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_path_wins() {
        assert_eq!(locate(Some("/proc/self".into()), "x"), Ok(PathBuf::from("/proc/self")));
    }

    #[test]
    fn a_missing_file_is_named() {
        let missing = locate(None, "fixtures/no-such-file").unwrap_err();
        assert!(missing.ends_with("target/fixtures/no-such-file"));
        assert!(
            missing
                .parent()
                .unwrap()
                .parent()
                .unwrap()
                .parent()
                .unwrap()
                .join("Cargo.lock")
                .exists()
        );
    }

    #[test]
    #[should_panic(expected = "run `cargo xtask fixtures`, or name another in SMARTVM_TEST_NONE")]
    fn the_panic_says_what_to_do() {
        let _ = fixture("SMARTVM_TEST_NONE", "fixtures/no-such-file");
    }
}
