//! What is known of a bundle in the cache: its `manifest.json`.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::arch::Arch;
use super::names::{ArtifactFileName, BundleId};
use super::preset::Preset;
use super::rootfs_type::RootfsType;
use crate::{ReleaseVersion, Sha256Digest};

/// A bundle in the cache, as its `manifest.json` describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BaseImageBundle {
    /// What it was asked for by.
    pub preset: Preset,
    /// The processor that it is for.
    pub arch: Arch,
    /// What the CI calls its version, or `hosted`.
    pub ci_version: String,
    /// The Firecracker that goes with it.
    pub firecracker_version: ReleaseVersion,
    /// Its name in the cache.
    pub bundle_id: BundleId,
    /// Its directory.
    pub bundle_dir: PathBuf,
    /// The kernel.
    pub kernel_image_path: PathBuf,
    /// The initial RAM disk, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initrd_path: Option<PathBuf>,
    /// The root file system.
    pub rootfs_path: PathBuf,
    /// What that is formatted with.
    pub rootfs_type: RootfsType,
    /// Whether it is given to the guest read-only.
    pub rootfs_is_read_only: bool,
    /// What the kernel is told.
    pub boot_args: String,
    /// Where it came from. Addresses are without password and query.
    pub source: BundleSource,
    /// What its files hash to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksums: Option<Checksums>,
    /// How many bytes its files have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sizes: Option<Sizes>,
    /// When it came.
    #[serde(with = "timestamp")]
    pub created_at: SystemTime,
    /// When it was asked for last.
    #[serde(with = "timestamp")]
    pub last_accessed_at: SystemTime,
}

/// Where a bundle came from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BundleSource {
    /// `firecracker-ci` or `hosted-manifest`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<SourceKind>,
    /// The bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket_url: Option<String>,
    /// The kernel's key in the bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel_key: Option<String>,
    /// The root file system's key in the bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rootfs_key: Option<String>,
    /// The manifest's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest_url: Option<String>,
    /// The manifest's file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest_path: Option<PathBuf>,
    /// The kernel's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel_url: Option<String>,
    /// The root file system's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rootfs_url: Option<String>,
    /// The kernel's file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel_source_path: Option<PathBuf>,
    /// The root file system's file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rootfs_source_path: Option<PathBuf>,
}

/// A kind of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// The bucket of Firecracker's CI.
    FirecrackerCi,
    /// A manifest.
    HostedManifest,
}

/// What a bundle's files hash to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Checksums {
    /// The kernel.
    pub kernel_sha256: Sha256Digest,
    /// The initial RAM disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initrd_sha256: Option<Sha256Digest>,
    /// The root file system.
    pub rootfs_sha256: Sha256Digest,
}

/// How many bytes a bundle's files have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sizes {
    /// The kernel.
    pub kernel_bytes: u64,
    /// The initial RAM disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initrd_bytes: Option<u64>,
    /// The root file system.
    pub rootfs_bytes: u64,
}

/// A file of a bundle and what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BundleFile {
    pub(super) name: ArtifactFileName,
    pub(super) sha256: Sha256Digest,
    pub(super) size: u64,
}

impl BaseImageBundle {
    /// How many bytes its files have together, when that is recorded.
    #[must_use]
    pub fn total_bytes(&self) -> Option<u64> {
        let sizes = self.sizes?;
        Some(sizes.kernel_bytes + sizes.initrd_bytes.unwrap_or(0) + sizes.rootfs_bytes)
    }

    /// The same in the directory `dir`, which may have been moved. None when it names a file that is
    /// not in its own directory, or another bundle.
    pub(super) fn placed_in(mut self, dir: &Path) -> Option<Self> {
        let recorded = std::mem::replace(&mut self.bundle_dir, dir.to_owned());
        let place = |path: &mut PathBuf| {
            let name = path.strip_prefix(&recorded).ok()?.to_str()?;
            let name: ArtifactFileName = name.parse().ok()?;
            *path = dir.join(name.as_str());
            Some(())
        };
        place(&mut self.kernel_image_path)?;
        place(&mut self.rootfs_path)?;
        if let Some(initrd) = &mut self.initrd_path {
            place(initrd)?;
        }
        (dir.file_name()?.to_str() == Some(self.bundle_id.as_str())).then_some(self)
    }

    /// Its files with what they must be; none when that is not recorded.
    pub(super) fn files(&self) -> Option<Vec<BundleFile>> {
        let (checksums, sizes) = (self.checksums?, self.sizes?);
        let file = |path: &Path, sha256, size| {
            let name = path.file_name()?.to_str()?.parse().ok()?;
            Some(BundleFile { name, sha256, size })
        };
        let mut files = vec![
            file(&self.kernel_image_path, checksums.kernel_sha256, sizes.kernel_bytes)?,
            file(&self.rootfs_path, checksums.rootfs_sha256, sizes.rootfs_bytes)?,
        ];
        if let Some(initrd) = &self.initrd_path {
            files.push(file(initrd, checksums.initrd_sha256?, sizes.initrd_bytes?)?);
        }
        Some(files)
    }
}

/// A time as `2024-01-01T00:00:00.000Z`.
mod timestamp {
    use std::time::SystemTime;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        time: &SystemTime,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_rfc3339_millis(*time))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SystemTime, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_rfc3339(&text).map_err(D::Error::custom)
    }
}

/// The time now, as exactly as it is recorded.
pub(super) fn now() -> SystemTime {
    let now = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    humantime::parse_rfc3339(&now).unwrap_or(SystemTime::UNIX_EPOCH)
}
