//! The manifest of a hosted bundle: what others write, and serve.

use serde::de::Error as _;
use serde::ser::{SerializeMap, SerializeStruct};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use thiserror::Error;

use super::arch::Arch;
use super::artifact::{Artifact, ArtifactSource};
use super::boot_args::default_boot_args;
use super::manifest_fields::{self, ManifestBreach};
use super::names::{ArtifactFileName, BundleId};
use super::rootfs_type::RootfsType;
use crate::ReleaseVersion;

/// The most bytes that a manifest may have.
pub const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// The one schema there is.
pub(super) const SCHEMA_VERSION: u64 = 1;

/// A bundle that somebody hosts, as its manifest describes it. It cannot be wrong in itself; whether
/// its artifacts exist and are what it says, only fetching them tells.
///
/// ```
/// use smartvm_images::base_image::{Arch, Artifact, HostedManifest, RootfsType};
/// use smartvm_images::{ReleaseVersion, Sha256Digest};
///
/// let kernel = Artifact::at_url("vmlinux".parse()?, Sha256Digest::of(b"kernel"));
/// let rootfs = Artifact::at_url("root.squashfs".parse()?, Sha256Digest::of(b"root")).of_size(4);
/// let version = ReleaseVersion::new(1, 12, 1);
/// let manifest = HostedManifest::new(
///     "web-1".parse()?, Arch::X86_64, version, RootfsType::Squashfs, kernel, rootfs)?;
/// assert!(manifest.rootfs_is_read_only());
/// let text = serde_json::to_vec_pretty(&manifest)?;
/// assert_eq!(HostedManifest::parse(&text)?, manifest);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostedManifest {
    pub(super) bundle_id: BundleId,
    pub(super) name: Option<String>,
    pub(super) arch: Arch,
    pub(super) firecracker_version: ReleaseVersion,
    pub(super) rootfs_type: RootfsType,
    pub(super) rootfs_is_read_only: Option<bool>,
    pub(super) boot_args: Option<String>,
    pub(super) kernel: Artifact,
    pub(super) initrd: Option<Artifact>,
    pub(super) rootfs: Artifact,
}

/// A manifest that breaks rules.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the base image manifest breaks {}: {}", count(breaches), list(breaches))]
pub struct InvalidManifest {
    breaches: Vec<ManifestBreach>,
}

/// The reason why a text is not a manifest.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ParseManifestError {
    /// It is larger than a manifest may be.
    #[error("the base image manifest is larger than {MAX_MANIFEST_BYTES} bytes")]
    TooLarge,
    /// It is not JSON.
    #[error("the base image manifest is not JSON")]
    NotJson(#[source] serde_json::Error),
    /// It breaks rules.
    #[error(transparent)]
    Invalid(#[from] InvalidManifest),
}

impl InvalidManifest {
    pub(super) fn new(breaches: Vec<ManifestBreach>) -> Self {
        Self { breaches }
    }

    /// Every broken rule.
    #[must_use]
    pub fn breaches(&self) -> &[ManifestBreach] {
        &self.breaches
    }

    /// The stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "INVALID_BASE_IMAGE_MANIFEST"
    }
}

impl ParseManifestError {
    /// The stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge | Self::NotJson(_) => "BASE_IMAGE_MANIFEST_FAILED",
            Self::Invalid(error) => error.code(),
        }
    }
}

impl HostedManifest {
    /// A manifest of a bundle with the usual command line, its root as writable as its type makes it.
    ///
    /// # Errors
    /// When two artifacts are to have one file name.
    pub fn new(
        bundle_id: BundleId,
        arch: Arch,
        firecracker_version: ReleaseVersion,
        rootfs_type: RootfsType,
        kernel: Artifact,
        rootfs: Artifact,
    ) -> Result<Self, InvalidManifest> {
        let manifest = Self {
            bundle_id,
            name: None,
            arch,
            firecracker_version,
            rootfs_type,
            rootfs_is_read_only: None,
            boot_args: None,
            kernel,
            initrd: None,
            rootfs,
        };
        manifest.checked()
    }

    /// The same with a name for people.
    #[must_use]
    pub fn with_name(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// The same with a root that is read-only, or not, whatever its type.
    #[must_use]
    pub fn with_rootfs_read_only(self, read_only: bool) -> Self {
        Self { rootfs_is_read_only: Some(read_only), ..self }
    }

    /// The same with a command line of its own; an empty one means the default.
    ///
    /// # Errors
    /// When it holds control characters.
    pub fn with_boot_args(self, boot_args: &str) -> Result<Self, InvalidManifest> {
        let boot_args = manifest_fields::boot_args(boot_args)
            .map_err(|breach| InvalidManifest::new(vec![breach]))?;
        Ok(Self { boot_args, ..self })
    }

    /// The same with an initial RAM disk. The original program does not know of it.
    ///
    /// # Errors
    /// When its file would replace another.
    pub fn with_initrd(self, initrd: Artifact) -> Result<Self, InvalidManifest> {
        Self { initrd: Some(initrd), ..self }.checked()
    }

    /// Reads a manifest. Keys that it does not know are passed over, as the original does.
    ///
    /// # Errors
    /// `BASE_IMAGE_MANIFEST_FAILED` when it is too large or no JSON; `INVALID_BASE_IMAGE_MANIFEST`
    /// with every rule that it breaks.
    pub fn parse(text: &[u8]) -> Result<Self, ParseManifestError> {
        if text.len() as u64 > MAX_MANIFEST_BYTES {
            return Err(ParseManifestError::TooLarge);
        }
        let value = smartvm_json::value(text).map_err(ParseManifestError::NotJson)?;
        Ok(manifest_fields::read(&value)?)
    }

    /// The bundle's id.
    #[must_use]
    pub fn bundle_id(&self) -> &BundleId {
        &self.bundle_id
    }

    /// A name for people.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The processor that it is for.
    #[must_use]
    pub fn arch(&self) -> Arch {
        self.arch
    }

    /// The Firecracker that it was made for.
    #[must_use]
    pub fn firecracker_version(&self) -> ReleaseVersion {
        self.firecracker_version
    }

    /// What its root is formatted with.
    #[must_use]
    pub fn rootfs_type(&self) -> RootfsType {
        self.rootfs_type
    }

    /// Whether its root is given to the guest read-only.
    #[must_use]
    pub fn rootfs_is_read_only(&self) -> bool {
        self.rootfs_is_read_only.unwrap_or_else(|| self.rootfs_type.is_read_only_by_default())
    }

    /// What its kernel is told.
    #[must_use]
    pub fn boot_args(&self) -> String {
        let default = || default_boot_args(self.arch, self.rootfs_type);
        self.boot_args.clone().unwrap_or_else(default)
    }

    /// The kernel.
    #[must_use]
    pub fn kernel(&self) -> &Artifact {
        &self.kernel
    }

    /// The initial RAM disk, if it has one.
    #[must_use]
    pub fn initrd(&self) -> Option<&Artifact> {
        self.initrd.as_ref()
    }

    /// The root file system.
    #[must_use]
    pub fn rootfs(&self) -> &Artifact {
        &self.rootfs
    }

    /// The artifacts with the keys that they have in the manifest.
    pub(super) fn artifacts(&self) -> impl Iterator<Item = (&'static str, &Artifact)> {
        let initrd = self.initrd.iter().map(|initrd| ("initrd", initrd));
        [("kernel", &self.kernel), ("rootfs", &self.rootfs)].into_iter().chain(initrd)
    }

    /// The rules between artifacts.
    pub(super) fn checked(self) -> Result<Self, InvalidManifest> {
        let mut taken: Vec<(&str, &ArtifactFileName)> = Vec::new();
        let mut breaches = Vec::new();
        for (key, artifact) in self.artifacts() {
            let Some(name) = &artifact.file_name else { continue };
            if let Some((other, _)) = taken.iter().find(|(_, other)| *other == name) {
                let rule = format!("must differ from {other}.fileName");
                breaches.push(ManifestBreach::new(format!("{key}.fileName"), rule));
            }
            taken.push((key, name));
        }
        if breaches.is_empty() { Ok(self) } else { Err(InvalidManifest::new(breaches)) }
    }
}

impl<'de> Deserialize<'de> for HostedManifest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        manifest_fields::read(&value).map_err(D::Error::custom)
    }
}

impl Serialize for HostedManifest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("HostedManifest", 11)?;
        out.serialize_field("schemaVersion", &SCHEMA_VERSION)?;
        out.serialize_field("bundleId", &self.bundle_id)?;
        if let Some(name) = &self.name {
            out.serialize_field("name", name)?;
        }
        out.serialize_field("arch", &self.arch)?;
        out.serialize_field("firecrackerVersion", &self.firecracker_version)?;
        out.serialize_field("rootfsType", &self.rootfs_type)?;
        if let Some(read_only) = self.rootfs_is_read_only {
            out.serialize_field("rootfsIsReadOnly", &read_only)?;
        }
        if let Some(boot_args) = &self.boot_args {
            out.serialize_field("bootArgs", boot_args)?;
        }
        out.serialize_field("kernel", &self.kernel)?;
        if let Some(initrd) = &self.initrd {
            out.serialize_field("initrd", initrd)?;
        }
        out.serialize_field("rootfs", &self.rootfs)?;
        out.end()
    }
}

impl Serialize for Artifact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_map(None)?;
        match &self.source {
            ArtifactSource::Url { url, .. } => out.serialize_entry("url", url)?,
            ArtifactSource::Path { path, .. } => out.serialize_entry("path", path)?,
        }
        if let Some(file_name) = &self.file_name {
            out.serialize_entry("fileName", file_name)?;
        }
        if let Some(sha256) = self.sha256() {
            out.serialize_entry("sha256", &sha256)?;
        }
        if let Some(size_bytes) = self.size_bytes {
            out.serialize_entry("sizeBytes", &size_bytes)?;
        }
        out.end()
    }
}

fn count(breaches: &[ManifestBreach]) -> String {
    if breaches.len() == 1 { "a rule".to_owned() } else { format!("{} rules", breaches.len()) }
}

fn list(breaches: &[ManifestBreach]) -> String {
    breaches.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests;
