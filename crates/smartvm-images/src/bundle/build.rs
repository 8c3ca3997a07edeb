//! Building a bundle.

use std::io;
use std::path::{Path, PathBuf};

use fs_err::os::unix::fs::OpenOptionsExt;
use serde::Serialize;
use thiserror::Error;

use super::kernel_file::{ReadKernelError, read_kernel};
use crate::base_image::{
    Arch, Artifact, ArtifactUrl, BundleId, HostedManifest, InvalidArtifactUrl, InvalidManifest,
};
use crate::draft_dir::DraftDir;
use crate::regular_file::{ReadFileError, read_regular};
use crate::rootfs::build_image;
use crate::signature::{SUFFIX, SignedKind, SigningKey};
use crate::{BuildRootfs, BuildRootfsError, ReleaseVersion, Sha256Digest};

/// The names of a bundle's files.
const KERNEL: &str = "vmlinux";
const INITRD: &str = "initrd";
const MANIFEST: &str = "manifest.json";
/// What it is made in, inside the draft.
const BUNDLE: &str = "bundle";
const MAX_INITRD: u64 = 512 << 20;

/// A bundle to be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildBundle {
    /// What it is called.
    pub bundle_id: BundleId,
    /// A name for people.
    pub name: Option<String>,
    /// The processor that it is for.
    pub arch: Arch,
    /// The Firecracker that it is for.
    pub firecracker_version: ReleaseVersion,
    /// A kernel; a distribution's `vmlinuz` is unpacked.
    pub kernel: PathBuf,
    /// The initial RAM disk of a kernel that needs one.
    pub initrd: Option<PathBuf>,
    /// What its root file system is made of, and how.
    pub rootfs: BuildRootfs,
    /// Whether a guest gets its root read-only. Default: a squashfs is, an ext4 is not.
    pub rootfs_is_read_only: Option<bool>,
    /// What its kernel is told, in place of the default.
    pub boot_args: Option<String>,
    /// The address that the bundle will have, such as `https://images.example/web-1`. Default: none,
    /// and the manifest names files beside itself, wherever that is.
    pub url_base: Option<String>,
}

/// A bundle that was built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BuiltBundle {
    /// Its directory.
    pub dir: PathBuf,
    /// The manifest in it.
    pub manifest_path: PathBuf,
    /// What the manifest says.
    pub manifest: HostedManifest,
    /// What of the source its root file system cannot keep, in words.
    pub lost: Vec<String>,
}

/// The reason why a bundle was not built.
#[derive(Debug, Error)]
#[error("failed to build bundle `{bundle_id}`")]
pub struct BuildBundleError {
    bundle_id: BundleId,
    #[source]
    problem: Box<Problem>,
}

#[derive(Debug, Error)]
enum Problem {
    #[error("`{}` exists", .0.display())]
    Exists(PathBuf),
    #[error(transparent)]
    Kernel(#[from] ReadKernelError),
    #[error("failed to read the initial RAM disk")]
    Initrd(#[source] ReadFileError),
    #[error(transparent)]
    Rootfs(#[from] BuildRootfsError),
    #[error("its address is impossible")]
    Url(#[from] InvalidArtifactUrl),
    #[error("`{0}` is no http or https address")]
    NoAddress(String),
    #[error(transparent)]
    Manifest(#[from] InvalidManifest),
    #[error("failed to hash what was made")]
    Hash(#[source] ReadFileError),
    #[error("its files cannot be written")]
    Write(#[source] io::Error),
}

impl BuildBundleError {
    /// The stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match &*self.problem {
            Problem::Exists(_) => "BUNDLE_EXISTS",
            Problem::Kernel(error) => error.code(),
            Problem::Initrd(_) => "INITRD_UNREADABLE",
            Problem::Rootfs(error) => error.code(),
            Problem::Manifest(error) => error.code(),
            Problem::Url(_) | Problem::NoAddress(_) => "INVALID_BASE_IMAGE_MANIFEST",
            Problem::Hash(_) | Problem::Write(_) => "BUNDLE_BUILD_FAILED",
        }
    }

    /// What the person who asked for it can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match &*self.problem {
            Problem::Exists(_) => Some("remove that directory first, or choose another".to_owned()),
            Problem::Kernel(error) => error.hint(),
            Problem::Rootfs(error) => error.hint(),
            _ => None,
        }
    }
}

/// Builds a bundle in the directory `dir`, which must not exist and appears when it is whole: the
/// kernel as `vmlinux`, `initrd`, `rootfs.ext4` or `rootfs.squashfs`, and `manifest.json` with their
/// sizes and hashes. A web server can serve the directory as it is, and the manifest can be used from
/// there or from this host.
///
/// Root is not needed; see [`build_rootfs`](crate::build_rootfs) for how the root file system is
/// made and what programs that takes. Blocks until it is done. A process that is killed meanwhile
/// leaves a hidden directory beside `dir`, which the next call for the same `dir` removes.
///
/// # Errors
/// When `dir` exists or cannot be written, a part cannot be read or is not what it should be, or the
/// manifest would break a rule. Nothing is left then.
pub fn build_bundle(request: &BuildBundle, dir: &Path) -> Result<BuiltBundle, BuildBundleError> {
    build_as(request, dir, None)
}

/// The same with `manifest.json.sig` beside the manifest, its signature by `key`.
///
/// # Errors
/// As [`build_bundle`].
pub fn build_signed_bundle(
    request: &BuildBundle,
    dir: &Path,
    key: &SigningKey,
) -> Result<BuiltBundle, BuildBundleError> {
    build_as(request, dir, Some(key))
}

fn build_as(
    request: &BuildBundle,
    dir: &Path,
    key: Option<&SigningKey>,
) -> Result<BuiltBundle, BuildBundleError> {
    build(request, dir, key).map_err(|problem| BuildBundleError {
        bundle_id: request.bundle_id.clone(),
        problem: Box::new(problem),
    })
}

fn build(
    request: &BuildBundle,
    dir: &Path,
    key: Option<&SigningKey>,
) -> Result<BuiltBundle, Problem> {
    // 1. What needs no work to refuse.
    if dir.exists() {
        return Err(Problem::Exists(dir.to_owned()));
    }
    let kernel = read_kernel(&request.kernel, request.arch)?;
    let initrd = request.initrd.as_deref().map(|path| read_regular(path, MAX_INITRD));
    let initrd = initrd.transpose().map_err(Problem::Initrd)?;
    // 2. The files.
    let draft = DraftDir::beside(dir).map_err(Problem::Write)?;
    let bundle = draft.path().join(BUNDLE);
    fs_err::create_dir(&bundle).map_err(Problem::Write)?;
    write(&bundle.join(KERNEL), &kernel)?;
    if let Some(initrd) = &initrd {
        write(&bundle.join(INITRD), initrd)?;
    }
    let rootfs_name = format!("rootfs.{}", request.rootfs.rootfs_type);
    let rootfs_path = bundle.join(&rootfs_name);
    let (rootfs_size, lost) = build_image(&request.rootfs, &rootfs_path, draft.path())?;
    open_to_all(&rootfs_path, 0o644)?;
    // 3. The manifest.
    let artifact = |name: &str, sha256, size| {
        let place = match &request.url_base {
            Some(base) => format!("{}/{name}", base.trim_end_matches('/')),
            None => name.to_owned(),
        };
        let url: ArtifactUrl = place.parse()?;
        // A base that is no address would be taken for a directory.
        if request.url_base.is_some() && url.absolute().is_none() {
            return Err(Problem::NoAddress(place));
        }
        Ok::<_, Problem>(Artifact::at_url(url, sha256).of_size(size))
    };
    let of_bytes = |name, bytes: &[u8]| artifact(name, Sha256Digest::of(bytes), bytes.len() as u64);
    let rootfs_hash = Sha256Digest::of_file(&rootfs_path).map_err(Problem::Hash)?;
    let mut manifest = HostedManifest::new(
        request.bundle_id.clone(),
        request.arch,
        request.firecracker_version,
        request.rootfs.rootfs_type,
        of_bytes(KERNEL, &kernel)?,
        artifact(&rootfs_name, rootfs_hash, rootfs_size)?,
    )?;
    if let Some(initrd) = &initrd {
        manifest = manifest.with_initrd(of_bytes(INITRD, initrd)?)?;
    }
    if let Some(name) = &request.name {
        manifest = manifest.with_name(name);
    }
    if let Some(read_only) = request.rootfs_is_read_only {
        manifest = manifest.with_rootfs_read_only(read_only);
    }
    if let Some(boot_args) = &request.boot_args {
        manifest = manifest.with_boot_args(boot_args)?;
    }
    let mut json = serde_json::to_vec_pretty(&manifest)
        .map_err(|error| Problem::Write(io::Error::other(error)))?;
    json.push(b'\n');
    write(&bundle.join(MANIFEST), &json)?;
    if let Some(key) = key {
        let signature = key.sign(SignedKind::BaseImage, &json);
        write(&bundle.join(format!("{MANIFEST}{SUFFIX}")), signature.as_bytes())?;
    }
    // 4. All of it at once.
    open_to_all(&bundle, 0o755)?;
    let dir = draft.target().to_owned();
    draft.publish_dir(BUNDLE).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty => {
            Problem::Exists(dir.clone())
        }
        _ => Problem::Write(error),
    })?;
    Ok(BuiltBundle { manifest_path: dir.join(MANIFEST), dir, manifest, lost })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    let mut options = fs_err::OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(0o644).open(path);
    opened.and_then(|mut file| io::Write::write_all(&mut file, bytes)).map_err(Problem::Write)?;
    open_to_all(path, 0o644)
}

/// Whatever our umask is: a server that serves it is another user.
fn open_to_all(path: &Path, mode: u32) -> Result<(), Problem> {
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
    fs_err::set_permissions(path, permissions).map_err(Problem::Write)
}

#[cfg(test)]
mod tests;
