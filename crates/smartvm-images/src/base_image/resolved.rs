//! What is to be in a bundle, before anything of it is there.

use std::path::{Path, PathBuf};

use url::Url;

use super::arch::Arch;
use super::bundle::{BaseImageBundle, BundleSource, Checksums, Sizes, now};
use super::names::{ArtifactFileName, BundleId};
use super::preset::Preset;
use super::rootfs_type::RootfsType;
use crate::{ReleaseVersion, Sha256Digest};

/// A bundle, and where its files come from.
#[derive(Debug, Clone)]
pub(super) struct ResolvedBundle {
    pub(super) preset: Preset,
    pub(super) arch: Arch,
    pub(super) ci_version: String,
    pub(super) firecracker_version: ReleaseVersion,
    pub(super) bundle_id: BundleId,
    pub(super) rootfs_type: RootfsType,
    pub(super) rootfs_is_read_only: bool,
    pub(super) boot_args: String,
    pub(super) source: BundleSource,
    pub(super) kernel: ResolvedFile,
    pub(super) initrd: Option<ResolvedFile>,
    pub(super) rootfs: ResolvedFile,
}

/// A file, and where it comes from.
#[derive(Clone)]
pub(super) struct ResolvedFile {
    pub(super) name: ArtifactFileName,
    pub(super) origin: Origin,
    pub(super) sha256: Option<Sha256Digest>,
    pub(super) size: Option<u64>,
}

/// Where a file comes from.
#[derive(Clone)]
pub(super) enum Origin {
    /// An address whose content has a known hash.
    Hosted(Url),
    /// The same, which somebody of the public network has named: it must be there too.
    Public(Url),
    /// An address without a checksum.
    Unsigned(Url),
    /// A file of this host.
    File(PathBuf),
}

/// A file that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FetchedFile {
    pub(super) sha256: Sha256Digest,
    pub(super) size: u64,
}

/// The files of a bundle that are there.
#[derive(Debug, Clone, Copy)]
pub(super) struct FetchedFiles {
    pub(super) kernel: FetchedFile,
    pub(super) initrd: Option<FetchedFile>,
    pub(super) rootfs: FetchedFile,
}

impl ResolvedBundle {
    /// Its files.
    pub(super) fn files(&self) -> impl Iterator<Item = &ResolvedFile> {
        [&self.kernel, &self.rootfs].into_iter().chain(&self.initrd)
    }

    /// Its description, once its files are there; `dir` is where it will be.
    pub(super) fn describe(&self, dir: &Path, files: &FetchedFiles) -> BaseImageBundle {
        let now = now();
        BaseImageBundle {
            preset: self.preset,
            arch: self.arch,
            ci_version: self.ci_version.clone(),
            firecracker_version: self.firecracker_version,
            bundle_id: self.bundle_id.clone(),
            bundle_dir: dir.to_owned(),
            kernel_image_path: dir.join(self.kernel.name.as_str()),
            initrd_path: self.initrd.as_ref().map(|initrd| dir.join(initrd.name.as_str())),
            rootfs_path: dir.join(self.rootfs.name.as_str()),
            rootfs_type: self.rootfs_type,
            rootfs_is_read_only: self.rootfs_is_read_only,
            boot_args: self.boot_args.clone(),
            source: self.source.clone(),
            checksums: Some(Checksums {
                kernel_sha256: files.kernel.sha256,
                initrd_sha256: files.initrd.map(|file| file.sha256),
                rootfs_sha256: files.rootfs.sha256,
            }),
            sizes: Some(Sizes {
                kernel_bytes: files.kernel.size,
                initrd_bytes: files.initrd.map(|file| file.size),
                rootfs_bytes: files.rootfs.size,
            }),
            created_at: now,
            last_accessed_at: now,
        }
    }

    /// A bundle of the cache as what is asked for now describes it; none when its files are others.
    pub(super) fn refresh(&self, cached: BaseImageBundle) -> Option<BaseImageBundle> {
        let checksums = cached.checksums?;
        let is_same = |file: &ResolvedFile, found: Sha256Digest| {
            file.sha256.is_none_or(|expected| expected == found)
        };
        let same_initrd = match (&self.initrd, checksums.initrd_sha256) {
            (None, None) => true,
            (Some(initrd), Some(found)) => is_same(initrd, found),
            _ => false,
        };
        let same = is_same(&self.kernel, checksums.kernel_sha256)
            && is_same(&self.rootfs, checksums.rootfs_sha256)
            && same_initrd
            && cached.arch == self.arch
            && cached.rootfs_type == self.rootfs_type;
        same.then(|| BaseImageBundle {
            preset: self.preset,
            ci_version: self.ci_version.clone(),
            firecracker_version: self.firecracker_version,
            rootfs_is_read_only: self.rootfs_is_read_only,
            boot_args: self.boot_args.clone(),
            source: self.source.clone(),
            last_accessed_at: now(),
            ..cached
        })
    }
}

impl std::fmt::Debug for ResolvedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The address may hold secrets.
        write!(f, "{}", self.name)
    }
}
