//! From a preset to a bundle's files, by what Firecracker's CI has.

use super::arch::Arch;
use super::base_image_error::BaseImageError;
use super::boot_args::default_boot_args;
use super::bucket::{BucketUrl, ListBucketError};
use super::bundle::{BundleSource, SourceKind};
use super::names::{ArtifactFileName, BundleId};
use super::preset::Preset;
use super::resolved::{Origin, ResolvedBundle, ResolvedFile};
use super::selection::{NothingSuitable, Selection, select};
use crate::download::Downloader;
use crate::release::{ReleaseSource, ReleaseStore, ReleaseVersion};

/// Where the CI's directories are.
const ROOT: &str = "firecracker-ci/";

/// How many directories that lack something are passed over, by date and by version.
const DATED: usize = 8;
const OLDER: u32 = 3;

/// What the preset `lts` means.
const LTS: ReleaseVersion = ReleaseVersion::new(1, 7, 0);

/// What is asked, and about which processor.
pub(super) struct Ci<'a> {
    pub(super) bucket: &'a BucketUrl,
    pub(super) releases: &'a ReleaseSource,
    pub(super) downloader: &'a Downloader,
    pub(super) arch: Arch,
}

impl Ci<'_> {
    /// What the latest release's CI made; `firecracker` instead, when it is given.
    pub(super) async fn latest(
        &self,
        firecracker: Option<ReleaseVersion>,
    ) -> Result<ResolvedBundle, BaseImageError> {
        let version = match firecracker {
            Some(version) => version,
            None => ReleaseStore::latest(self.releases, self.downloader)
                .await
                .map_err(BaseImageError::Version)?,
        };
        let mut looked_at = Vec::new();
        // The directory of the release itself, while there were such.
        if let Some(found) = self.look_at(&minor(version), version, &mut looked_at).await? {
            return Ok(self.bundle(Preset::Latest, version, found));
        }
        // Then the newest by date that has everything, then those of older releases.
        let older = (1..=OLDER).filter_map(|n| version.minor.checked_sub(n));
        let older = older.map(|minor| format!("v{}.{minor}", version.major));
        for ci in self.dated().await?.into_iter().take(DATED).chain(older) {
            if let Some(found) = self.look_at(&ci, version, &mut looked_at).await? {
                return Ok(self.bundle(Preset::Latest, version, found));
            }
        }
        Err(self.nothing(version, looked_at))
    }

    /// What the CI made for version 1.7.
    pub(super) async fn lts(&self) -> Result<ResolvedBundle, BaseImageError> {
        let mut looked_at = Vec::new();
        match self.look_at(&minor(LTS), LTS, &mut looked_at).await? {
            Some(found) => Ok(self.bundle(Preset::Lts, LTS, found)),
            None => Err(self.nothing(LTS, looked_at)),
        }
    }

    /// What can be chosen in a directory; notes what it lacks otherwise.
    async fn look_at(
        &self,
        ci: &str,
        version: ReleaseVersion,
        looked_at: &mut Vec<(String, NothingSuitable)>,
    ) -> Result<Option<(String, Selection)>, BaseImageError> {
        let prefix = format!("{ROOT}{ci}/{}/", self.arch);
        let listing = self
            .bucket
            .list(self.downloader, &prefix, true)
            .await
            .map_err(|source| self.unlisted(version, source))?;
        // A server that knows no prefixes and delimiters lists everything.
        let here = |key: &&str| key.strip_prefix(&*prefix).is_some_and(|name| !name.contains('/'));
        match select(listing.keys.iter().map(String::as_str).filter(here), version) {
            Ok(selection) => Ok(Some((ci.to_owned(), selection))),
            Err(lacks) => {
                looked_at.push((prefix, lacks));
                Ok(None)
            }
        }
    }

    /// The directories that are named by a date, the newest first.
    async fn dated(&self) -> Result<Vec<String>, BaseImageError> {
        let listing = self
            .bucket
            .list(self.downloader, ROOT, true)
            .await
            .map_err(|source| self.unlisted(LTS, source))?;
        let name = |prefix: &String| {
            let name = prefix.strip_prefix(ROOT)?.strip_suffix('/')?;
            is_dated(name).then(|| name.to_owned())
        };
        let mut names: Vec<_> = listing.prefixes.iter().filter_map(name).collect();
        names.sort_by(|a, b| b.cmp(a));
        Ok(names)
    }

    fn bundle(
        &self,
        preset: Preset,
        firecracker_version: ReleaseVersion,
        (ci_version, selection): (String, Selection),
    ) -> ResolvedBundle {
        let Selection { kernel, rootfs, rootfs_type } = selection;
        let file = |key: &str, fallback: &str| ResolvedFile {
            name: ArtifactFileName::last_part_of(key)
                .or_else(|| fallback.parse().ok())
                .expect("the fallback is a plain name"),
            origin: Origin::Unsigned(self.bucket.object(key)),
            sha256: None,
            size: None,
        };
        let (kernel_file, rootfs_file) = (file(&kernel, "vmlinux"), file(&rootfs, "rootfs"));
        let arch = self.arch;
        let id = format!("{preset}-{ci_version}-{arch}-{}-{}", kernel_file.name, rootfs_file.name);
        ResolvedBundle {
            preset,
            arch,
            firecracker_version,
            bundle_id: BundleId::sanitized(&id).expect("it is longer than a dot"),
            rootfs_type,
            rootfs_is_read_only: rootfs_type.is_read_only_by_default(),
            boot_args: default_boot_args(arch, rootfs_type),
            source: BundleSource {
                kind: Some(SourceKind::FirecrackerCi),
                bucket_url: Some(self.bucket.to_string()),
                kernel_key: Some(kernel),
                rootfs_key: Some(rootfs),
                ..BundleSource::default()
            },
            ci_version,
            kernel: kernel_file,
            initrd: None,
            rootfs: rootfs_file,
        }
    }

    fn unlisted(&self, firecracker: ReleaseVersion, source: ListBucketError) -> BaseImageError {
        BaseImageError::List { firecracker, arch: self.arch, source }
    }

    fn nothing(
        &self,
        firecracker: ReleaseVersion,
        looked_at: Vec<(String, NothingSuitable)>,
    ) -> BaseImageError {
        BaseImageError::Nothing { firecracker, arch: self.arch, looked_at }
    }
}

fn minor(version: ReleaseVersion) -> String {
    format!("v{}.{}", version.major, version.minor)
}

/// `YYYYMMDD-…`.
fn is_dated(name: &str) -> bool {
    let Some((date, rest)) = name.split_once('-') else { return false };
    date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit()) && !rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_dated_when_its_name_begins_with_a_date() {
        assert!(is_dated("20261101-abcdef"));
        for name in ["v1.12", "2026110-abc", "20261101", "20261101-", "firecracker", "x0261101-a"] {
            assert!(!is_dated(name), "{name}");
        }
    }
}
