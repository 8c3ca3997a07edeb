//! `smartvm image build`.

use std::path::{Path, PathBuf};

use smartvm_images::base_image::{Arch, BundleId, RootfsType};
use smartvm_images::signature::SigningKey;
use smartvm_images::{
    BuildBundle, BuildRootfs, BuiltBundle, ReleaseVersion, build_bundle, build_signed_bundle,
};

use crate::failure::Failure;
use crate::image_size::SizeMib;
use crate::printer::Printer;
use crate::run::runtime;
use crate::settings::{Settings, absolute};

/// Build a bundle of a kernel and a root file system that can be served as it is
///
/// Writes vmlinux, rootfs.ext4 or rootfs.squashfs, an initrd if there is one, and a manifest.json
/// with sizes and hashes into a new directory. Owners, modes, extended attributes, device nodes,
/// links and times of the files survive; root is not needed.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "smartvm image build --kernel KERNEL --rootfs FILES --type TYPE --id ID \
                            --out DIR [OPTIONS]"
)]
#[command(after_help = "\
Examples:
  smartvm image build --kernel 6.1.0-56-amd64 --rootfs root.tar.gz --type ext4 --id web-1 --out web-1
  smartvm image build --kernel ./vmlinux --rootfs ./tree --type squashfs --id web-2 --out web-2 \\
    --firecracker-version v1.12.1
  smartvm image build --kernel ./vmlinux --rootfs root.ext4 --type ext4 --size 4G --id big --out big

ext4 needs mkfs.ext4, debugfs and e2fsck (apt-get install e2fsprogs), squashfs needs mksquashfs
(apt-get install squashfs-tools).")]
pub(crate) struct BuildArgs {
    /// An imported kernel by its name, which brings its initrd, or a file: an ELF vmlinux or a vmlinuz
    #[arg(long, value_name = "NAME|FILE")]
    kernel: String,
    /// An initial RAM disk, in place of the imported kernel's own
    #[arg(long, value_name = "FILE")]
    initrd: Option<PathBuf>,
    /// The files: a directory, a tar archive (plain, gzip, zstd, xz), or an image of that type
    #[arg(long, value_name = "DIR|TAR|IMAGE")]
    rootfs: PathBuf,
    /// The file system: ext4, which guests can write to, or squashfs
    #[arg(long = "type", value_name = "TYPE")]
    rootfs_type: RootfsType,
    /// What to call the bundle: letters, digits, dot, underscore and dash
    #[arg(long, value_name = "ID")]
    id: BundleId,
    /// Where to write it; must not exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The size of an ext4 root in MiB, or as 512M or 4G [default: what the files need, and a tenth
    /// of it free]
    #[arg(long, value_name = "SIZE")]
    size: Option<SizeMib>,
    /// What the kernel is told [default: console=ttyS0 reboot=k panic=1 pci=off, and more for
    /// squashfs and aarch64]
    #[arg(long, value_name = "ARGS")]
    boot_args: Option<String>,
    /// Whether guests get the root read-only [default: true for squashfs]
    #[arg(long, value_name = "BOOL")]
    read_only: Option<bool>,
    /// The Firecracker that it is for, such as v1.12.1 [default: the one that `smartvm run` would use]
    #[arg(long, value_name = "VERSION")]
    firecracker_version: Option<ReleaseVersion>,
    /// The processor that it is for [default: this host's]
    #[arg(long, value_name = "ARCH")]
    arch: Option<Arch>,
    /// A name for people
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// The address that the bundle will have [default: none; the manifest names files beside itself]
    #[arg(long, value_name = "URL")]
    url_base: Option<String>,
    /// Sign the manifest with this secret Ed25519 key, as `openssl genpkey -algorithm ed25519` makes them; the
    /// file must be readable by its owner alone
    #[arg(long, value_name = "KEY")]
    sign: Option<PathBuf>,
}

/// Builds the bundle and shows what came of it.
pub(super) fn perform(
    args: &BuildArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<(), Failure> {
    let (kernel, own_initrd) = find_kernel(&args.kernel, settings)?;
    let initrd = args.initrd.as_deref().map(absolute).transpose()?.or(own_initrd);
    let firecracker_version = match args.firecracker_version {
        Some(version) => version,
        None => installed_version(settings)?,
    };
    let request = BuildBundle {
        bundle_id: args.id.clone(),
        name: args.name.clone(),
        arch: args.arch.unwrap_or_default(),
        firecracker_version,
        kernel,
        initrd,
        rootfs: BuildRootfs {
            source: absolute(&args.rootfs)?,
            rootfs_type: args.rootfs_type,
            size_mib: args.size.map(|size| size.0),
            tools: settings.host_tools(),
        },
        rootfs_is_read_only: args.read_only,
        boot_args: args.boot_args.clone(),
        url_base: args.url_base.clone(),
    };
    let key = args.sign.as_deref().map(SigningKey::read).transpose();
    let key = key.map_err(|error| Failure::of(&error, error.code(), error.hint()))?;
    let out = absolute(&args.out)?;
    let built = match &key {
        None => build_bundle(&request, &out),
        Some(key) => build_signed_bundle(&request, &out, key),
    };
    let built = built.map_err(|error| Failure::of(&error, error.code(), error.hint()))?;
    for lost in &built.lost {
        printer.warning(lost);
    }
    if printer.wants_json() {
        return printer.json(&built);
    }
    printer.status(&format!("built {}", args.id));
    printer.data(&describe(&built))
}

/// A name is an imported kernel; whatever has a slash, or is there, is a file.
fn find_kernel(kernel: &str, settings: &Settings) -> Result<(PathBuf, Option<PathBuf>), Failure> {
    if kernel.contains('/') || Path::new(kernel).is_file() {
        return Ok((absolute(Path::new(kernel))?, None));
    }
    let found = settings.kernels()?.get(kernel);
    let found = found.map_err(|error| Failure::of(&error, error.code(), error.hint()))?;
    Ok((found.vmlinux, found.initramfs))
}

fn installed_version(settings: &Settings) -> Result<ReleaseVersion, Failure> {
    let hint = "say which Firecracker the bundle is for: --firecracker-version v1.12.1";
    let binary = settings.find_firecracker().map_err(|failure| failure.with_hint(hint))?;
    let version = runtime()?
        .block_on(binary.version())
        .map_err(|error| Failure::of(&error, error.code(), error.hint()))?;
    // A development version is not one that others could get.
    format!("v{version}").parse().map_err(|error: smartvm_images::ParseReleaseVersionError| {
        Failure::new("USAGE", error.to_string()).with_hint(hint)
    })
}

fn describe(built: &BuiltBundle) -> String {
    let manifest = &built.manifest;
    let size = manifest.rootfs().size_bytes.unwrap_or_default() >> 20;
    format!(
        "bundle      {}\nmanifest    {}\nroot        {}, {size} MiB\nboot args   {}\nfor         \
         Firecracker {} on {}",
        manifest.bundle_id(),
        built.manifest_path.display(),
        manifest.rootfs_type(),
        manifest.boot_args(),
        manifest.firecracker_version(),
        manifest.arch(),
    )
}
