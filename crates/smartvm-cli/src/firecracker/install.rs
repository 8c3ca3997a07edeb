//! `smartvm firecracker install`.

use smartvm_images::base_image::Arch;
use smartvm_images::{Downloader, DownloaderOptions, ReleaseError, ReleaseSource, ReleaseStore};

use super::version::VersionArg;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::progress::ProgressDisplay;
use crate::run::runtime;

/// Download a release, check it and install it
///
/// The archive must hash to the checksum that is published beside it; only firecracker and jailer are
/// taken out of it. An interrupted download goes on where it stopped.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  smartvm firecracker install
  smartvm firecracker install v1.12.1
  smartvm firecracker install --release-url https://mirror.example/firecracker/releases")]
pub(crate) struct InstallArgs {
    /// The version [default: the latest]
    version: Option<VersionArg>,
    /// The page of releases, or a mirror with the same addresses below it
    #[arg(
        long,
        value_name = "URL",
        env = "SMARTVM_RELEASE_URL",
        hide_env_values = true,
        default_value = ReleaseSource::OFFICIAL
    )]
    release_url: ReleaseSource,
}

/// Installs the release and shows where it is.
pub(super) fn perform(
    args: &InstallArgs,
    store: &ReleaseStore,
    printer: Printer,
) -> Result<(), Failure> {
    let failed = |error: ReleaseError| Failure::of(&error, error.code(), error.hint());
    let downloader = Downloader::new(DownloaderOptions::default())
        .map_err(|error| Failure::of(&error, error.code(), error.hint()))?;
    let progress = ProgressDisplay::new(printer);
    let installing = async {
        let version = match args.version {
            Some(version) => version.0,
            None => ReleaseStore::latest(&args.release_url, &downloader).await?,
        };
        store.ensure(version, Arch::HOST, &args.release_url, &downloader, &progress).await
    };
    let release = runtime()?.block_on(installing).map_err(failed)?;
    if printer.wants_json() {
        return printer.json(&release);
    }
    printer.status(&format!("Firecracker {} is installed", release.version));
    printer.data(&super::describe(&release))
}
