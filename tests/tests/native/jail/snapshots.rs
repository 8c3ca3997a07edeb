//! Snapshots taken in one jail and loaded in others, at once, as other users.

use std::os::unix::fs::MetadataExt;

use smartvm::images::ReleaseVersion;
use smartvm::images::base_image::{
    Arch, Artifact, EnsureBaseImage, HostedManifest, ManifestLocation, RootfsType,
};
use smartvm::snapshot::{MemoryBackend, RestoreVm};
use smartvm::{Confinement, DriveConfig};
use smartvm_testkit::tiny_guest::TinyGuest;

use super::{bench, jails};
use crate::snapshots::{full, guest, name, runs};
use crate::support::{Bench, drive};

async fn clones_of_one_snapshot(bench: &Bench, backend: MemoryBackend) {
    let vm = guest(bench).await;
    let snapshot = vm.create_snapshot(full("base")).await.unwrap();
    vm.cleanup().await.unwrap();
    let memory = fs_err::metadata(snapshot.memory_path()).unwrap();
    assert_eq!(memory.uid(), 0, "what was lent to be written was given back");
    let mut clones = Vec::new();
    let mut users = Vec::new();
    for _ in 0..2 {
        let mut request = RestoreVm::new(name("base"));
        request.backend = backend;
        let clone = bench.smartvm.restore_vm(request).unwrap();
        let report = clone.start().await.unwrap();
        let Some(Confinement::Jailed { uid, root, .. }) = report.confinement else {
            panic!("not jailed: {report:?}");
        };
        if backend == MemoryBackend::File {
            // As the VM sees it: it is mounted there.
            let seen = format!("/proc/{}/root/restore.memory", clone.process_id().unwrap());
            assert_eq!(fs_err::metadata(seen).unwrap().ino(), memory.ino(), "shared, not copied");
            assert_eq!(fs_err::metadata(root.join("restore.memory")).unwrap().len(), 0);
        }
        users.push(uid);
        clones.push(clone);
    }
    assert_ne!(users[0], users[1]);
    for clone in clones {
        runs(&clone).await;
        clone.cleanup().await.unwrap();
    }
    assert_eq!(jails(bench).len(), 0);
}

#[tokio::test]
async fn a_guest_saved_in_one_jail_goes_on_in_two_others() {
    clones_of_one_snapshot(&bench(), MemoryBackend::File).await;
}

#[tokio::test]
async fn memory_that_comes_page_by_page_reaches_a_jail() {
    clones_of_one_snapshot(&bench(), MemoryBackend::Uffd).await;
}

/// How many bytes this process has read, from files or whatever else.
fn bytes_read() -> u64 {
    let io = fs_err::read_to_string("/proc/self/io").unwrap();
    io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_jailed_restore_hashes_no_memory_that_was_hashed_before() {
    const MEMORY: u64 = 128 << 20;
    let bench = bench();
    let mut config = bench.config(&TinyGuest::echoes());
    config.machine_config.mem_size_mib = MEMORY >> 20;
    let vm = bench.smartvm.create_vm(&config).unwrap();
    vm.start().await.unwrap();
    vm.create_snapshot(full("base")).await.unwrap();
    vm.cleanup().await.unwrap();
    let restored = || async {
        let clone = bench.smartvm.restore_vm(RestoreVm::new(name("base"))).unwrap();
        let report = clone.start().await.unwrap();
        assert!(matches!(report.confinement, Some(Confinement::Jailed { .. })));
        clone
    };
    let before = bytes_read();
    for _ in 0..3 {
        restored().await.cleanup().await.unwrap();
    }
    let clones = [restored().await, restored().await, restored().await];
    for clone in clones {
        clone.cleanup().await.unwrap();
    }
    let read = bytes_read() - before;
    assert!(read < MEMORY / 2, "{read} bytes were read by six restores");
    // What the figure is about: one that trusts nothing.
    let before = bytes_read();
    let mut request = RestoreVm::new(name("base"));
    request.verify = smartvm::snapshot::Verify::Always;
    let clone = bench.smartvm.restore_vm(request).unwrap();
    clone.start().await.unwrap();
    assert!(bytes_read() - before >= MEMORY);
    clone.cleanup().await.unwrap();
}

#[tokio::test]
async fn a_jailed_run_of_a_base_image_leaves_it_verified() {
    const ROOT: usize = 64 << 20;
    let bench = bench();
    let dir = bench.file("image");
    fs_err::create_dir(&dir).unwrap();
    TinyGuest::halts().write_to(&dir.join("kernel")).unwrap();
    fs_err::write(dir.join("root"), vec![7; ROOT]).unwrap();
    let described = HostedManifest::new(
        "web".parse().unwrap(),
        Arch::HOST,
        ReleaseVersion::new(1, 12, 1),
        RootfsType::Squashfs,
        Artifact::at_path(dir.join("kernel")),
        Artifact::at_path(dir.join("root")),
    )
    .unwrap();
    let manifest = dir.join("manifest.json");
    fs_err::write(&manifest, serde_json::to_vec(&described).unwrap()).unwrap();
    let request = EnsureBaseImage {
        manifest: Some(ManifestLocation::Path(manifest)),
        ..EnsureBaseImage::default()
    };
    let images = bench.smartvm.base_images().unwrap();
    let first = images.ensure(&request, &()).await.unwrap();
    assert!(!first.was_cached);
    let before = bytes_read();
    for _ in 0..3 {
        let image = images.ensure(&request, &()).await.unwrap();
        assert!(image.was_cached);
        let mut config = bench.config(&TinyGuest::halts());
        config.boot_source.kernel_image_path = image.bundle.kernel_image_path.clone();
        let root = drive("root", &image.bundle.rootfs_path);
        config.drives = vec![DriveConfig { is_read_only: Some(true), ..root }];
        let vm = bench.smartvm.create_vm(&config).unwrap();
        vm.start().await.unwrap();
        vm.cleanup().await.unwrap();
    }
    let read = bytes_read() - before;
    assert!(read < ROOT as u64 / 2, "{read} bytes were read by three runs");
}

#[tokio::test]
async fn a_drive_that_is_mounted_into_a_jail_is_saved_with_its_content() {
    let bench = bench();
    let other = tempfile::tempdir_in("/var/tmp").unwrap();
    let path = other.path().join("far");
    fs_err::write(&path, vec![7; 1 << 16]).unwrap();
    let mut config = bench.config(&TinyGuest::echoes());
    config.drives = vec![DriveConfig { ephemeral: Some(false), ..drive("far", &path) }];
    let vm = bench.smartvm.create_vm(&config).unwrap();
    vm.start().await.unwrap();
    let snapshot = vm.create_snapshot(full("mounted")).await.unwrap();
    runs(&vm).await;
    vm.cleanup().await.unwrap();
    assert_eq!(fs_err::read(snapshot.dir().join("drives/far")).unwrap(), vec![7; 1 << 16]);
}
