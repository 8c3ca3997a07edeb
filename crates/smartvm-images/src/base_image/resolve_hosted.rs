//! From a hosted manifest to a bundle's files.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::arch::Arch;
use super::artifact::{Artifact, ArtifactSource};
use super::base_image_error::BaseImageError;
use super::bundle::{BundleSource, SourceKind};
use super::hosted_manifest::{HostedManifest, InvalidManifest, MAX_MANIFEST_BYTES};
use super::manifest_fields::ManifestBreach;
use super::manifest_location::ManifestLocation;
use super::names::ArtifactFileName;
use super::preset::Preset;
use super::resolved::{Origin, ResolvedBundle, ResolvedFile};
use crate::download::{Downloader, is_of_the_public};
use crate::file_lock::blocking;
use crate::regular_file::read_regular;
use crate::shown_url::ShownUrl;
use crate::signature::{MAX_SIGNATURE_BYTES, SignedKind, VerifyingKey};

/// Fetches or reads the manifest.
pub(super) async fn resolve_hosted(
    location: &ManifestLocation,
    arch: Arch,
    downloader: &Downloader,
    allow_private: bool,
    signer: Option<&VerifyingKey>,
) -> Result<ResolvedBundle, BaseImageError> {
    let (text, from) = read(location, MAX_MANIFEST_BYTES, downloader).await?;
    if let Some(signer) = signer {
        // Whatever keeps it from being had: without it, the manifest is not signed.
        let signature = read(&location.of_signature(), MAX_SIGNATURE_BYTES, downloader).await;
        let signature = signature.inspect_err(|error| {
            tracing::debug!(%error, "there is no signature beside the manifest");
        });
        let signature = signature.ok().map(|(text, _)| text);
        signer.verify(SignedKind::BaseImage, &text, signature.as_deref())?;
    }
    let author = match location {
        ManifestLocation::Path(_) => Author::Ours,
        ManifestLocation::Url(_) if allow_private => Author::Ours,
        ManifestLocation::Url(url) if is_of_the_public(url.as_url(), from).await => Author::Public,
        ManifestLocation::Url(_) => Author::Ours,
    };
    Ok(resolve(&HostedManifest::parse(&text)?, location, author, arch)?)
}

/// Reads a document, and tells the address that it came from.
async fn read(
    location: &ManifestLocation,
    limit: u64,
    downloader: &Downloader,
) -> Result<(Vec<u8>, Option<IpAddr>), BaseImageError> {
    match location {
        ManifestLocation::Path(path) => {
            let path = path.clone();
            let text = blocking(move || read_regular(&path, limit)).await;
            text.map(|text| (text, None)).map_err(BaseImageError::ReadManifest)
        }
        ManifestLocation::Url(url) => downloader
            .fetch_document_and_origin(url.as_url(), limit)
            .await
            .map_err(BaseImageError::FetchManifest),
    }
}

/// Who wrote a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Author {
    /// Somebody who may name any address: this host, its network, or whoever was said to.
    Ours,
    /// Anybody.
    Public,
}

fn resolve(
    manifest: &HostedManifest,
    location: &ManifestLocation,
    author: Author,
    arch: Arch,
) -> Result<ResolvedBundle, InvalidManifest> {
    let mut breaches = Vec::new();
    if manifest.arch() != arch {
        let rule = format!("it is for {} and {arch} was asked for", manifest.arch());
        breaches.push(ManifestBreach::new("arch", rule));
    }
    let mut names = Names::new(manifest);
    let mut file = |key: &str, artifact: &Artifact, fallback: &str| {
        let origin = origin(artifact, location, author)
            .map_err(|rule| breaches.push(ManifestBreach::new(format!("{key}.path"), rule)))
            .ok()?;
        let name = names.choose(artifact, fallback)?;
        Some(ResolvedFile { name, origin, sha256: artifact.sha256(), size: artifact.size_bytes })
    };
    let kernel = file("kernel", manifest.kernel(), "vmlinux");
    let rootfs_name = format!("rootfs.{}", manifest.rootfs_type());
    let rootfs = file("rootfs", manifest.rootfs(), &rootfs_name);
    let initrd = manifest.initrd().map(|initrd| file("initrd", initrd, "initrd"));
    let (Some(kernel), Some(rootfs), true) =
        (kernel, rootfs, initrd.as_ref().is_none_or(Option::is_some) && breaches.is_empty())
    else {
        return Err(InvalidManifest::new(breaches));
    };
    Ok(ResolvedBundle {
        preset: Preset::Hosted,
        arch,
        ci_version: "hosted".to_owned(),
        firecracker_version: manifest.firecracker_version(),
        bundle_id: manifest.bundle_id().clone(),
        rootfs_type: manifest.rootfs_type(),
        rootfs_is_read_only: manifest.rootfs_is_read_only(),
        boot_args: manifest.boot_args(),
        source: source(location, &kernel, &rootfs),
        kernel,
        initrd: initrd.flatten(),
        rootfs,
    })
}

fn origin(
    artifact: &Artifact,
    location: &ManifestLocation,
    author: Author,
) -> Result<Origin, &'static str> {
    let hosted = |url| match author {
        Author::Ours => Ok(Origin::Hosted(url)),
        Author::Public if url.scheme() == "https" => Ok(Origin::Public(url)),
        Author::Public => Err("a manifest from a public server may name https addresses alone"),
    };
    match (&artifact.source, location) {
        (ArtifactSource::Url { url, .. }, location) => match (url.absolute(), location) {
            (Some(url), _) => hosted(url.clone()),
            (None, ManifestLocation::Path(manifest)) => {
                Ok(Origin::File(beside(manifest, Path::new(url.beside_manifest().unwrap_or("")))))
            }
            (None, ManifestLocation::Url(manifest)) => manifest
                .as_url()
                .join(url.beside_manifest().unwrap_or(""))
                .map_err(|_| "it makes no address with the manifest's")
                .and_then(hosted),
        },
        (ArtifactSource::Path { path, .. }, ManifestLocation::Path(manifest)) => {
            Ok(Origin::File(beside(manifest, path)))
        }
        (ArtifactSource::Path { .. }, ManifestLocation::Url(_)) => {
            Err("a manifest from a server may not name files of this host")
        }
    }
}

/// A path as seen from the manifest's directory.
fn beside(manifest: &Path, path: &Path) -> PathBuf {
    manifest.parent().unwrap_or_else(|| Path::new("")).join(path)
}

fn source(
    location: &ManifestLocation,
    kernel: &ResolvedFile,
    rootfs: &ResolvedFile,
) -> BundleSource {
    let url = |file: &ResolvedFile| match &file.origin {
        Origin::Hosted(url) | Origin::Public(url) | Origin::Unsigned(url) => {
            Some(ShownUrl(url).to_string())
        }
        Origin::File(_) => None,
    };
    let path = |file: &ResolvedFile| match &file.origin {
        Origin::File(path) => Some(path.clone()),
        Origin::Hosted(_) | Origin::Public(_) | Origin::Unsigned(_) => None,
    };
    let (manifest_url, manifest_path) = match location {
        ManifestLocation::Url(url) => (Some(url.to_string()), None),
        ManifestLocation::Path(path) => (None, Some(path.clone())),
    };
    BundleSource {
        kind: Some(SourceKind::HostedManifest),
        manifest_url,
        manifest_path,
        kernel_url: url(kernel),
        rootfs_url: url(rootfs),
        kernel_source_path: path(kernel),
        rootfs_source_path: path(rootfs),
        ..BundleSource::default()
    }
}

/// Gives every file of a bundle a name of its own.
struct Names {
    taken: Vec<ArtifactFileName>,
}

impl Names {
    /// Those that the manifest gives come first.
    fn new(manifest: &HostedManifest) -> Self {
        let named = manifest.artifacts().filter_map(|(_, artifact)| artifact.file_name.clone());
        Self { taken: named.collect() }
    }

    /// The name that the manifest gives, else the one at the source, else the usual one.
    fn choose(&mut self, artifact: &Artifact, fallback: &str) -> Option<ArtifactFileName> {
        if let Some(name) = &artifact.file_name {
            return Some(name.clone());
        }
        let at_source = match &artifact.source {
            ArtifactSource::Url { url, .. } => url.file_name(),
            ArtifactSource::Path { path, .. } => {
                ArtifactFileName::last_part_of(&path.to_string_lossy())
            }
        };
        let usual = [fallback.to_owned(), format!("{fallback}-1"), format!("{fallback}-2")];
        let usual = usual.iter().filter_map(|name| name.parse().ok());
        let name = at_source.into_iter().chain(usual).find(|name| !self.taken.contains(name))?;
        self.taken.push(name.clone());
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::super::rootfs_type::RootfsType;
    use super::*;
    use crate::{ReleaseVersion, Sha256Digest};

    fn manifest(kernel: Artifact, rootfs: Artifact) -> HostedManifest {
        let version = ReleaseVersion::new(1, 12, 1);
        let id = "b".parse().unwrap();
        HostedManifest::new(id, Arch::X86_64, version, RootfsType::Ext4, kernel, rootfs).unwrap()
    }

    fn at_url(url: &str) -> Artifact {
        Artifact::at_url(url.parse().unwrap(), Sha256Digest::of(b"x"))
    }

    fn by_url(url: &str) -> ManifestLocation {
        ManifestLocation::Url(url.parse().unwrap())
    }

    fn address(file: &ResolvedFile) -> String {
        match &file.origin {
            Origin::Hosted(url) => url.to_string(),
            Origin::Public(url) => format!("public {url}"),
            Origin::Unsigned(url) => format!("unsigned {url}"),
            Origin::File(path) => path.display().to_string(),
        }
    }

    #[test]
    fn files_beside_the_manifest_are_beside_it_wherever_it_is() {
        let manifest = manifest(at_url("vmlinux"), at_url("x86_64/root.ext4"));
        let local = ManifestLocation::Path("/images/manifest.json".into());
        let resolved = resolve(&manifest, &local, Author::Ours, Arch::X86_64).unwrap();
        assert_eq!(address(&resolved.kernel), "/images/vmlinux");
        assert_eq!(address(&resolved.rootfs), "/images/x86_64/root.ext4");
        let served = by_url("http://host/a/manifest.json?k=v");
        let resolved = resolve(&manifest, &served, Author::Ours, Arch::X86_64).unwrap();
        assert_eq!(address(&resolved.kernel), "http://host/a/vmlinux");
        assert_eq!(address(&resolved.rootfs), "http://host/a/x86_64/root.ext4");
        assert_eq!(resolved.source.manifest_url.as_deref(), Some("http://host/a/manifest.json"));
    }

    #[test]
    fn a_manifest_from_a_server_cannot_name_files_of_this_host() {
        let manifest = manifest(Artifact::at_path("/etc/shadow"), at_url("root.ext4"));
        let served = by_url("http://host/manifest.json");
        let error = resolve(&manifest, &served, Author::Ours, Arch::X86_64).unwrap_err();
        assert_eq!(error.breaches()[0].field(), "kernel.path");
        let local = ManifestLocation::Path("/images/manifest.json".into());
        resolve(&manifest, &local, Author::Ours, Arch::X86_64).unwrap();
    }

    #[test]
    fn what_the_public_names_is_https_and_fetched_from_the_public() {
        let url = "https://images.example/kernel";
        let served = by_url("https://images.example/a/manifest.json");
        let public = |kernel, rootfs| {
            resolve(&manifest(kernel, rootfs), &served, Author::Public, Arch::X86_64)
        };
        let resolved = public(at_url(url), at_url("root.ext4")).unwrap();
        assert_eq!(address(&resolved.kernel), format!("public {url}"));
        let beside = "public https://images.example/a/root.ext4";
        assert_eq!(address(&resolved.rootfs), beside);
        let error = public(at_url(url), at_url("http://images.example/root")).unwrap_err();
        assert_eq!(error.breaches()[0].field(), "rootfs.path");
    }

    #[test]
    fn the_architecture_must_be_the_one_asked_for() {
        let manifest = manifest(at_url("vmlinux"), at_url("root.ext4"));
        let local = ManifestLocation::Path("/images/manifest.json".into());
        let error = resolve(&manifest, &local, Author::Ours, Arch::Aarch64).unwrap_err();
        assert_eq!(
            (error.code(), error.breaches()[0].field()),
            ("INVALID_BASE_IMAGE_MANIFEST", "arch")
        );
    }

    #[test]
    fn no_two_files_of_a_bundle_have_one_name() {
        let local = ManifestLocation::Path("/images/manifest.json".into());
        let names = |kernel, rootfs| {
            let resolved =
                resolve(&manifest(kernel, rootfs), &local, Author::Ours, Arch::X86_64).unwrap();
            (resolved.kernel.name.to_string(), resolved.rootfs.name.to_string())
        };
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let url = "http://host/image";
        assert_eq!(names(at_url(url), at_url(url)), pair("image", "rootfs.ext4"));
        let named = at_url(url).named("image".parse().unwrap());
        assert_eq!(names(at_url(url), named.clone()), pair("vmlinux", "image"));
        assert_eq!(names(named, at_url("http://host/")), pair("image", "rootfs.ext4"));
        assert_eq!(names(at_url("manifest.json"), at_url("r")), pair("vmlinux", "r"));
    }

    /// What becomes of a manifest with this text and this signature beside it.
    async fn resolved(
        text: &[u8],
        signature: Option<&str>,
        key: Option<&VerifyingKey>,
    ) -> &'static str {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("manifest.json");
        fs_err::write(&path, text).unwrap();
        if let Some(signature) = signature {
            fs_err::write(dir.path().join("manifest.json.sig"), signature).unwrap();
        }
        let downloader = Downloader::new(crate::DownloaderOptions::default());
        let location = ManifestLocation::Path(path);
        let resolved = resolve_hosted(&location, Arch::X86_64, &downloader, false, key).await;
        resolved.map_or_else(|error| error.code(), |_| "resolved")
    }

    #[tokio::test]
    async fn a_manifest_that_is_not_signed_by_the_key_is_not_even_parsed() {
        use crate::signature::SigningKey;
        let dir = tempfile::tempdir().unwrap();
        let (secret, public) = (dir.path().join("secret"), dir.path().join("public"));
        let text = "-----BEGIN PRIVATE KEY-----\n\
            MC4CAQAwBQYDK2VwBCIEIAynHSX7rgUxncjgzeV/eN+YqK7Cf/coW2SwFTJPdSEm\n\
            -----END PRIVATE KEY-----\n";
        fs_err::write(&secret, text).unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs_err::set_permissions(&secret, private).unwrap();
        let text = "-----BEGIN PUBLIC KEY-----\n\
            MCowBQYDK2VwAyEA2YFFctE5kUkvQi2/i37PHIm3mx3g//q679S5deHsXyU=\n\
            -----END PUBLIC KEY-----\n";
        fs_err::write(&public, text).unwrap();
        let secret = SigningKey::read(&secret).unwrap();
        let key = VerifyingKey::read(&public).unwrap();

        let manifest = manifest(at_url("vmlinux"), at_url("root.ext4"));
        let text = serde_json::to_vec(&manifest).unwrap();
        let right = secret.sign(SignedKind::BaseImage, &text);
        let of_a_snapshot = secret.sign(SignedKind::Snapshot, &text);
        assert_eq!(resolved(&text, Some(&right), Some(&key)).await, "resolved");
        assert_eq!(resolved(&text, None, None).await, "resolved");
        assert_eq!(resolved(&text, None, Some(&key)).await, "BASE_IMAGE_UNSIGNED");
        let wrong = "BASE_IMAGE_WRONG_SIGNATURE";
        assert_eq!(resolved(&text, Some(&of_a_snapshot), Some(&key)).await, wrong);
        assert_eq!(resolved(b"{", Some(&right), Some(&key)).await, wrong);
        assert_eq!(resolved(b"{", None, None).await, "BASE_IMAGE_MANIFEST_FAILED");
    }

    #[test]
    fn a_signature_is_beside_its_manifest() {
        let of = |location: ManifestLocation| match location.of_signature() {
            ManifestLocation::Path(path) => path.display().to_string(),
            ManifestLocation::Url(url) => url.as_url().to_string(),
        };
        assert_eq!(of(ManifestLocation::Path("/a/manifest.json".into())), "/a/manifest.json.sig");
        let url = "https://host/a/manifest.json?token=x";
        assert_eq!(of(by_url(url)), "https://host/a/manifest.json.sig?token=x");
    }
}
