//! The base image that `smartvm run --image` boots.

use smartvm_images::base_image::BaseImage;

use super::RunArgs;
use crate::failure::Failure;
use crate::image::{ImageName, pull};
use crate::printer::Printer;
use crate::settings::Settings;

/// Makes sure of the base image, if one was asked for.
pub(super) fn ensure(
    args: &RunArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<Option<BaseImage>, Failure> {
    let Some(name) = &args.image else { return Ok(None) };
    if let ImageName::Id(id) = name {
        let manager = args.image_source.manager(settings)?;
        let image = super::runtime()?.block_on(manager.cached(id));
        return image.map(Some).map_err(|e| Failure::of(&e, e.code(), e.hint()));
    }
    let request = name.request()?.unwrap_or_default();
    pull::ensure(&request, &args.image_source, settings, printer).map(Some)
}
