//! Guests that boot what `smartvm image build` made of an archive.

use std::path::PathBuf;
use std::process::Command;

use smartvm::images::base_image::HostedManifest;
use smartvm_testkit::fixtures;

use crate::guest::{BOOT_ARGS, Lab};

/// Builds a bundle with the command, of the kernel that was imported.
fn build(lab: &Lab, rootfs_type: &str, boot_args: &str) -> (PathBuf, HostedManifest) {
    let out = lab.home.path().join(format!("bundle-{rootfs_type}"));
    let built = Command::new(fixtures::command())
        .args(["image", "build", "--id", "small-1", "--type", rootfs_type, "--kernel"])
        .arg(&lab.kernel.name)
        .arg("--rootfs")
        .arg(fixtures::rootfs_tar())
        .args(["--boot-args", boot_args, "--out"])
        .arg(&out)
        .arg("--firecracker")
        .arg(fixtures::firecracker())
        .arg("--data-dir")
        .arg(lab.home.data_dir())
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let manifest = HostedManifest::parse(&fs_err::read(out.join("manifest.json")).unwrap());
    (out, manifest.unwrap())
}

#[tokio::test]
async fn bundles_that_were_built_boot_with_ext4_and_with_squashfs() {
    let lab = Lab::new();
    for (rootfs_type, more_args, mounted) in [
        ("ext4", "", "/dev/vda on / type ext4 (rw"),
        // As the default for squashfs has it.
        ("squashfs", " ro rootfstype=squashfs", " on / type overlay (rw"),
    ] {
        let (out, manifest) = build(&lab, rootfs_type, &format!("{BOOT_ARGS}{more_args}"));
        let root = out.join(format!("rootfs.{rootfs_type}"));
        let mut config = lab.config(root, manifest.rootfs_is_read_only());
        config.boot_source.kernel_image_path = out.join("vmlinux");
        config.boot_source.initrd_path = manifest.initrd().map(|_| out.join("initrd"));
        config.boot_source.boot_args = Some(manifest.boot_args());
        let mut guest = lab.boot_config(&config).await;
        assert_eq!(guest.run("uname -r").await, lab.kernel.version, "{rootfs_type}");
        assert!(guest.run("mount").await.contains(mounted), "{rootfs_type}");
        // What the archive said of it.
        let said = guest.run("stat -c '%A %u:%g' /etc/rc").await;
        assert_eq!(said, "-rwxr-xr-x 0:0", "{rootfs_type}");
        guest.vm.kill().await.unwrap();
        guest.vm.cleanup().await.unwrap();
    }
}
