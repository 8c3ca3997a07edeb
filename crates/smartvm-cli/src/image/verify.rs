//! `smartvm image verify`.

use smartvm_images::base_image::BundleId;

use super::source::ImageSourceArgs;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::settings::Settings;

/// Hash base images in the cache and compare them with what was fetched
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  smartvm image verify web-1\n  smartvm image verify --all")]
pub(crate) struct VerifyArgs {
    /// Their ids, as `smartvm image list` shows them
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<BundleId>,
    /// All in the cache
    #[arg(long)]
    all: bool,
}

/// Verifies; the first that is damaged is the failure, after all were looked at.
pub(super) fn perform(
    args: &VerifyArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<(), Failure> {
    let manager = ImageSourceArgs::default().manager(settings)?;
    let ids = if args.all {
        let all = manager.list().map_err(super::failed)?;
        all.into_iter().map(|bundle| bundle.bundle_id).collect()
    } else {
        args.ids.clone()
    };
    let (mut right, mut first_failure) = (Vec::new(), None);
    for id in &ids {
        match manager.verify(id).map_err(super::failed) {
            Ok(bundle) => {
                printer.status(&format!("{id} is right"));
                right.push(bundle);
            }
            Err(failure) if first_failure.is_none() => first_failure = Some(failure),
            Err(failure) => printer.failure(&failure),
        }
    }
    match first_failure {
        Some(failure) => Err(failure),
        None if printer.wants_json() => printer.json(&right),
        None => Ok(()),
    }
}
