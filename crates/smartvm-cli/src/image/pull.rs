//! `smartvm image pull`.

use std::path::PathBuf;

use serde::Serialize;
use smartvm_images::base_image::{
    Arch, BaseImage, BaseImageBundle, BundleId, EnsureBaseImage, Preset, Verify,
};

use super::name::ImageName;
use super::source::ImageSourceArgs;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::progress::ProgressDisplay;
use crate::run::runtime;
use crate::settings::{Settings, absolute};

/// Fetch a base image into the cache, unless it is there
///
/// Every file is hashed while it comes and must be what the manifest says. Firecracker's CI publishes no
/// checksums: what was first seen is recorded, and another content later is refused. An interrupted
/// download goes on where it stopped.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  smartvm image pull
  smartvm image pull lts
  smartvm image pull https://images.example/web/manifest.json
  smartvm image pull ./web/manifest.json --force
  smartvm image pull https://images.example/web/manifest.json --verify-key public.pem")]
pub(crate) struct PullArgs {
    /// `latest`, `lts`, or a manifest's URL or path
    #[arg(value_name = "IMAGE", default_value = "latest")]
    image: ImageName,
    /// Fetch it again although it is in the cache
    #[arg(long)]
    force: bool,
    /// Hash what is in the cache although nothing has changed
    #[arg(long)]
    verify: bool,
    /// Refuse it unless its manifest is signed by the other half of this public Ed25519 key (`openssl pkey -pubout`)
    #[arg(long, value_name = "KEY", env = "SMARTVM_VERIFY_KEY", hide_env_values = true)]
    verify_key: Option<PathBuf>,
    /// Accept that a file without checksum is another than when it was first seen
    #[arg(long)]
    accept_changed: bool,
    /// The processor that it is for: x86_64 or aarch64 [default: this host's]
    #[arg(long, value_name = "ARCH")]
    arch: Option<Arch>,
    #[command(flatten)]
    source: ImageSourceArgs,
}

/// What `--json` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Pulled<'a> {
    #[serde(flatten)]
    bundle: &'a BaseImageBundle,
    was_cached: bool,
    evicted: &'a [BundleId],
}

/// Fetches the image and shows what is known of it.
pub(super) fn perform(
    args: &PullArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<(), Failure> {
    let request = args.image.request()?.ok_or_else(|| {
        Failure::new("USAGE", "an id names a base image in the cache; name a manifest to fetch one")
            .with_hint(format!("there are the presets {} and {} too", Preset::Latest, Preset::Lts))
    })?;
    let request = EnsureBaseImage {
        arch: args.arch,
        force_download: args.force,
        verify: args.verify.then_some(Verify::Always),
        accept_changed: args.accept_changed,
        ..request
    };
    let verify_key = args.verify_key.as_deref().map(absolute).transpose()?;
    let settings = &Settings { verify_key, ..settings.clone() };
    let image = ensure(&request, &args.source, settings, printer)?;
    let bundle = &image.bundle;
    if printer.wants_json() {
        let (was_cached, evicted) = (image.was_cached, &*image.evicted);
        return printer.json(&Pulled { bundle, was_cached, evicted });
    }
    let what = if image.was_cached { "is in the cache" } else { "was fetched" };
    printer.status(&format!("{} {what}", bundle.bundle_id));
    printer.data(&super::describe(bundle))
}

/// Makes sure of a base image, showing downloads, and says what had to go for it.
pub(crate) fn ensure(
    request: &EnsureBaseImage,
    source: &ImageSourceArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<BaseImage, Failure> {
    let manager = source.manager(settings)?;
    let progress = ProgressDisplay::new(printer);
    let image = runtime()?.block_on(manager.ensure(request, &progress)).map_err(super::failed)?;
    for evicted in &image.evicted {
        let limit = manager.max_stored().get();
        printer.warning(&format!(
            "base image {evicted} was removed: the cache keeps {limit}; --max-stored-images or \
             SMARTVM_MAX_STORED_BASE_IMAGES changes this"
        ));
    }
    Ok(image)
}
