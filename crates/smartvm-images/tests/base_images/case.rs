//! What every test of base images needs.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use smartvm_images::base_image::{
    Arch, BaseImage, BaseImageError, BaseImageManager, BaseImageManagerOptions, EnsureBaseImage,
    ManifestLocation,
};
use smartvm_images::{Downloader, DownloaderOptions, Sha256Digest};

pub(crate) const KERNEL: &[u8] = b"fresh kernel";
pub(crate) const ROOT: &[u8] = b"fresh root";

pub(crate) struct Case {
    pub(crate) dir: tempfile::TempDir,
}

impl Case {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    pub(crate) fn manager(&self) -> BaseImageManager {
        self.manager_with(|_| ())
    }

    pub(crate) fn manager_with(
        &self,
        change: impl FnOnce(&mut BaseImageManagerOptions),
    ) -> BaseImageManager {
        let mut options = BaseImageManagerOptions::new(self.cache());
        options.arch = Arch::X86_64;
        change(&mut options);
        let downloader = Downloader::new(DownloaderOptions {
            tries: 2,
            first_pause: Duration::from_millis(1),
            ..DownloaderOptions::default()
        });
        BaseImageManager::new(options, downloader.unwrap()).unwrap()
    }

    /// A manifest on this host whose artifacts are beside it.
    pub(crate) fn local(&self, id: &str) -> EnsureBaseImage {
        let dir = self.dir.path().join("images");
        fs_err::create_dir_all(&dir).unwrap();
        fs_err::write(dir.join("vmlinux-test"), KERNEL).unwrap();
        fs_err::write(dir.join("rootfs-test.ext4"), ROOT).unwrap();
        let manifest = self.write_manifest(id, &manifest(id));
        request(ManifestLocation::Path(manifest))
    }

    pub(crate) fn write_manifest(&self, id: &str, manifest: &Value) -> PathBuf {
        let path = self.dir.path().join("images").join(format!("{id}.json"));
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, manifest.to_string()).unwrap();
        path
    }

    /// The names in the cache, without its locks.
    pub(crate) fn cached(&self) -> Vec<String> {
        let entries = fs_err::read_dir(self.cache()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name != "~locks");
        names.sort();
        names
    }
}

pub(crate) fn request(manifest: ManifestLocation) -> EnsureBaseImage {
    EnsureBaseImage { manifest: Some(manifest), ..EnsureBaseImage::default() }
}

pub(crate) fn manifest(id: &str) -> Value {
    json!({
        "schemaVersion": 1,
        "bundleId": id,
        "name": "a test",
        "arch": "x86_64",
        "firecrackerVersion": "v1.15.1",
        "rootfsType": "ext4",
        "kernel": {
            "path": "vmlinux-test",
            "fileName": "vmlinux",
            "sha256": Sha256Digest::of(KERNEL).to_string(),
            "sizeBytes": KERNEL.len(),
        },
        "rootfs": {
            "path": "rootfs-test.ext4",
            "sha256": Sha256Digest::of(ROOT).to_string(),
            "sizeBytes": ROOT.len(),
        },
    })
}

pub(crate) async fn ensure(manager: &BaseImageManager, request: &EnsureBaseImage) -> BaseImage {
    manager.ensure(request, &()).await.unwrap()
}

pub(crate) async fn refused(
    manager: &BaseImageManager,
    request: &EnsureBaseImage,
) -> BaseImageError {
    manager.ensure(request, &()).await.unwrap_err()
}
