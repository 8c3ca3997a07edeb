//! A base image on the command line.

use std::path::PathBuf;
use std::str::FromStr;

use smartvm_images::base_image::{BundleId, EnsureBaseImage, ManifestLocation, Preset};

use crate::failure::Failure;
use crate::settings::absolute;

/// What names a base image: `latest` or `lts`, a manifest's URL, its path (with a slash, or ending in
/// `.json`), or the id of one in the cache.
#[derive(Debug, Clone)]
pub(crate) enum ImageName {
    Preset(Preset),
    Manifest(ManifestLocation),
    Id(BundleId),
}

impl ImageName {
    /// The request for it; none for one in the cache, which is not fetched.
    pub(crate) fn request(&self) -> Result<Option<EnsureBaseImage>, Failure> {
        let mut request = EnsureBaseImage::default();
        match self {
            Self::Preset(preset) => request.preset = *preset,
            Self::Manifest(ManifestLocation::Path(path)) => {
                request.manifest = Some(ManifestLocation::Path(absolute(path)?));
            }
            Self::Manifest(location) => request.manifest = Some(location.clone()),
            Self::Id(_) => return Ok(None),
        }
        Ok(Some(request))
    }
}

impl FromStr for ImageName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(preset) = text.parse() {
            return Ok(Self::Preset(preset));
        }
        if text.contains("://") {
            let url = text.parse().map_err(|error| format!("{error}"))?;
            return Ok(Self::Manifest(ManifestLocation::Url(url)));
        }
        if text.contains('/') || text.ends_with(".json") {
            return Ok(Self::Manifest(ManifestLocation::Path(PathBuf::from(text))));
        }
        text.parse().map(Self::Id).map_err(|error| format!("{error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_manifests_and_ids_are_told_apart() {
        let name = |text: &str| text.parse::<ImageName>();
        assert!(matches!(name("latest"), Ok(ImageName::Preset(Preset::Latest))));
        assert!(matches!(name("lts"), Ok(ImageName::Preset(Preset::Lts))));
        let url = name("https://host/manifest.json");
        assert!(matches!(url, Ok(ImageName::Manifest(ManifestLocation::Url(_)))));
        for path in ["./web", "/web/manifest", "web.json"] {
            let path = name(path);
            assert!(matches!(path, Ok(ImageName::Manifest(ManifestLocation::Path(_)))), "{path:?}");
        }
        assert!(matches!(name("web-1"), Ok(ImageName::Id(_))));
        assert!(name("ftp://host/x").unwrap_err().contains("http"));
        assert!(name("a b").unwrap_err().contains("bundle id"));
    }
}
