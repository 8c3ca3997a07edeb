//! Base images that boot: fetched from a server of this test, with a Firecracker that was installed
//! from another.

use std::process::Command;
use std::sync::Arc;

use smartvm::images::base_image::{
    Arch, Artifact, ArtifactUrl, CacheLimit, EnsureBaseImage, HostedManifest, ManifestLocation,
    RootfsType,
};
use smartvm::images::{ReleaseVersion, Sha256Digest, StoredKernel};
use smartvm::{MachineConfig, SmartVmOptions, VmConfig};
use smartvm_testkit::http::{Answer, FakeReleases, HttpServer};
use smartvm_testkit::{TestHome, fixtures};

use crate::guest::{BOOT_ARGS, DEADLINE, Lab, import, in_huge_pages};

/// The version of the Firecracker that the fixtures are.
const VERSION: ReleaseVersion = ReleaseVersion::new(1, 12, 1);

/// A server of a bundle with an imported kernel and a root file system of the fixtures.
pub(crate) struct Bundle {
    server: HttpServer,
}

impl Bundle {
    pub(crate) fn serve(id: &str, kernel: &StoredKernel, rootfs_type: RootfsType) -> Self {
        let rootfs = match rootfs_type {
            RootfsType::Ext4 => fixtures::rootfs_ext4(),
            RootfsType::Squashfs => fixtures::rootfs_squashfs(),
        };
        let initramfs = kernel.initramfs.as_ref().unwrap();
        let files = [("vmlinux", &kernel.vmlinux), ("initrd", initramfs), ("root", &rootfs)];
        let files = files.map(|(name, path)| (name, Arc::new(fs_err::read(path).unwrap())));
        let artifact = |index: usize| {
            let (name, content): &(&str, Arc<Vec<u8>>) = &files[index];
            let url: ArtifactUrl = name.parse().unwrap();
            Artifact::at_url(url, Sha256Digest::of(content)).of_size(content.len() as u64)
        };
        let id = id.parse().unwrap();
        let manifest =
            HostedManifest::new(id, Arch::HOST, VERSION, rootfs_type, artifact(0), artifact(2))
                .and_then(|manifest| manifest.with_initrd(artifact(1)))
                .and_then(|manifest| manifest.with_boot_args(BOOT_ARGS))
                .unwrap();
        let manifest = serde_json::to_vec(&manifest).unwrap();
        let server = HttpServer::start(move |request| {
            let name = request.path.trim_start_matches('/');
            if name == "manifest.json" {
                return Answer::new(200, &*manifest);
            }
            let file = files.iter().find(|(other, _)| *other == name);
            file.map_or_else(Answer::not_found, |(_, content)| {
                Answer::file(request, content, &format!("\"{name}\""))
            })
        });
        Self { server }
    }

    pub(crate) fn url(&self) -> String {
        self.server.url("/manifest.json")
    }

    fn request(&self) -> EnsureBaseImage {
        let url = self.url().parse().unwrap();
        EnsureBaseImage { manifest: Some(ManifestLocation::Url(url)), ..EnsureBaseImage::default() }
    }
}

/// Boots what the library makes of a bundle.
async fn boots(rootfs_type: RootfsType, command: &str, expected: &str) {
    let lab = Lab::with(|options: &mut SmartVmOptions, _| {
        options.max_stored_base_images = CacheLimit::new(1).unwrap();
    });
    let bundle = Bundle::serve("hosted", &lab.kernel, rootfs_type);
    let image = lab.smartvm.ensure_base_image(&bundle.request(), &()).await.unwrap();
    let config =
        VmConfig { machine_config: MachineConfig::new(1, 256), ..VmConfig::booting(&image.bundle) };
    let (id, files) = (image.bundle.bundle_id.clone(), image.bundle.clone());
    let mut guest = lab.boot_config(&in_huge_pages(config)).await;
    // The VM itself keeps its image, not only whoever fetched it.
    drop(image);
    let images = lab.smartvm.base_images().unwrap();
    assert_eq!(images.delete(&id).unwrap_err().code(), "BASE_IMAGE_IN_USE");
    let seen = guest.run(command).await;
    assert!(seen.contains(expected), "{command}: {seen}");
    guest.vm.stop_within(DEADLINE).await.unwrap();
    guest.vm.cleanup().await.unwrap();
    // What the guest wrote went with it.
    images.verify(&id).unwrap();
    let again = lab.smartvm.ensure_base_image(&bundle.request(), &()).await.unwrap();
    assert!(again.was_cached);
    assert_eq!(again.bundle.rootfs_path, files.rootfs_path);
    drop(again);
    images.delete(&id).unwrap();
}

#[tokio::test]
async fn a_hosted_ext4_bundle_boots_is_kept_while_it_runs_and_stays_as_it_was() {
    boots(RootfsType::Ext4, "echo changed > /file && sync && cat /file", "changed").await;
}

#[tokio::test]
async fn a_hosted_squashfs_bundle_boots_is_kept_while_it_runs_and_stays_as_it_was() {
    boots(RootfsType::Squashfs, "mount", " on / type overlay (rw").await;
}

/// The opt-in boot in a process of its own, as a person would run it, with the real Firecracker
/// installed from a release page and a base image from a hosted manifest.
#[test]
fn the_opt_in_boot_downloads_a_base_image_and_its_firecracker_and_boots() {
    let home = TestHome::new();
    let kernel: StoredKernel = import(&home);
    let bundle = Bundle::serve("opt-in", &kernel, RootfsType::Squashfs);
    let read = |path| fs_err::read(path).unwrap();
    let releases = FakeReleases::start("v1.12.1").with_release(
        "v1.12.1",
        Arch::HOST.as_str(),
        &read(fixtures::firecracker()),
        &read(fixtures::jailer()),
    );
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture"])
        .arg("opt_in::a_downloaded_base_image_boots")
        .env("SMARTVM_RUN_INTEGRATION", "true")
        .env("SMARTVM_BASE_IMAGE_MANIFEST_URL", bundle.url())
        .env("SMARTVM_BASE_IMAGE_CACHE_DIR", home.path().join("cache"))
        .env("SMARTVM_MAX_STORED_BASE_IMAGES", "1")
        .env("SMARTVM_ARCH", Arch::HOST.as_str())
        .env("SMARTVM_INTEGRATION_DATA_DIR", home.path().join("integration"))
        .env("SMARTVM_RELEASE_URL", releases.url())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}{errors}");
    assert!(text.contains("1 passed"), "{text}{errors}");
    assert!(home.path().join("cache/opt-in/manifest.json").exists());
    assert!(home.path().join("integration/firecracker/v1.12.1/firecracker").exists());
}
