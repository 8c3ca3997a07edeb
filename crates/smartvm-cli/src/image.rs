//! `smartvm image`: base images, a kernel and a root file system that go together.
//!
//! With `--json`, `list` prints an array and `show` and `verify` one object of [`BaseImageBundle`]'s
//! form, the bundle's `manifest.json`; `pull` adds `wasCached` and `evicted` to it. `prune` prints
//! `{"removed":[…]}` and `rm` `{"removed":"ID"}`; `build` an object with `dir`, `manifestPath`, `manifest` and
//! `lost`.

mod build;
mod list;
mod name;
mod prune;
pub(crate) mod pull;
mod rm;
mod show;
mod source;
mod verify;

use clap::Subcommand;
use indicatif::HumanBytes;
use smartvm_images::base_image::{BaseImageBundle, BaseImageError, BundleId};

pub(crate) use self::name::ImageName;
pub(crate) use self::source::ImageSourceArgs;
use crate::exit_code::Exit;
use crate::failure::Failure;
use crate::leaving;
use crate::printer::Printer;
use crate::settings::Settings;

const EXAMPLES: &str = "\
Examples:
  smartvm image pull                       what Firecracker's CI made for the latest release
  smartvm image pull https://images.example/web/manifest.json
  smartvm image list
  smartvm run --image latest
  smartvm image verify --all
  smartvm image rm web-1
  smartvm image build --kernel 6.1.0-56-amd64 --rootfs ./tree --type ext4 --id web-1 --out web-1

Base images are kept in `base-images` of the data directory, the two that were used last and those
in use.

With --json: objects with bundleId, preset, arch, firecrackerVersion, kernelImagePath, rootfsPath,
rootfsType, rootfsIsReadOnly, bootArgs, source, checksums, sizes, createdAt, lastAccessedAt.";

/// Fetch, list, verify, remove and build base images
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ImageArgs {
    #[command(subcommand)]
    pub(crate) verb: ImageVerb,
}

/// What to do with base images.
#[derive(Debug, Subcommand)]
pub(crate) enum ImageVerb {
    Pull(pull::PullArgs),
    /// List the base images in the cache
    #[command(after_help = "Examples:\n  smartvm image list\n  smartvm image list --json")]
    List,
    /// Show one base image in the cache
    #[command(after_help = "Examples:\n  smartvm image show web-1")]
    Show {
        /// Its id, as `smartvm image list` shows it
        id: BundleId,
    },
    Verify(verify::VerifyArgs),
    Prune(prune::PruneArgs),
    /// Remove a base image from the cache
    #[command(after_help = "Examples:\n  smartvm image rm web-1")]
    Rm {
        /// Its id, as `smartvm image list` shows it
        id: BundleId,
    },
    Build(Box<build::BuildArgs>),
}

/// Does what the verb says.
pub(crate) fn perform(
    verb: &ImageVerb,
    settings: &Settings,
    printer: Printer,
) -> Result<Exit, Failure> {
    if matches!(verb, ImageVerb::Pull(_) | ImageVerb::Build(_)) {
        settings.admit_image()?;
    }
    if matches!(verb, ImageVerb::Build(_)) {
        leaving::remove_drafts_on_signals()?;
    }
    match verb {
        ImageVerb::Pull(args) => pull::perform(args, settings, printer)?,
        ImageVerb::List => list::perform(settings, printer)?,
        ImageVerb::Show { id } => show::perform(id, settings, printer)?,
        ImageVerb::Verify(args) => verify::perform(args, settings, printer)?,
        ImageVerb::Prune(args) => prune::perform(args, settings, printer)?,
        ImageVerb::Build(args) => build::perform(args, settings, printer)?,
        ImageVerb::Rm { id } => rm::perform(id, settings, printer)?,
    }
    Ok(Exit::Ok)
}

/// What the library says, for the person.
fn failed(error: BaseImageError) -> Failure {
    Failure::of(&error, error.code(), error.hint())
}

/// What `pull` and `show` say of a base image to a person.
fn describe(bundle: &BaseImageBundle) -> String {
    let read_only = if bundle.rootfs_is_read_only { ", read-only" } else { "" };
    let mut lines = vec![
        format!("id           {}", bundle.bundle_id),
        format!("made for     {} on {}", bundle.firecracker_version, bundle.arch),
        format!("kernel       {}", bundle.kernel_image_path.display()),
    ];
    lines.extend(bundle.initrd_path.iter().map(|path| format!("initrd       {}", path.display())));
    lines.push(format!(
        "root         {} ({}{read_only})",
        bundle.rootfs_path.display(),
        bundle.rootfs_type
    ));
    lines.push(format!("arguments    {}", bundle.boot_args));
    if let Some(bytes) = bundle.total_bytes() {
        lines.push(format!("size         {}", HumanBytes(bytes)));
    }
    if let Some(checksums) = &bundle.checksums {
        lines.push(format!("kernel hash  {}", checksums.kernel_sha256));
        lines.push(format!("root hash    {}", checksums.rootfs_sha256));
    }
    lines.join("\n")
}
