//! Where base images come from, and how many are kept.

use smartvm_images::base_image::{
    BaseImageManager, BaseImageManagerOptions, BucketUrl, CacheLimit,
};
use smartvm_images::{Downloader, DownloaderOptions, ReleaseSource};

use crate::failure::Failure;
use crate::settings::Settings;

/// The flags of verbs that fetch base images.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ImageSourceArgs {
    /// How many base images the cache keeps [default: 2]
    #[arg(
        long,
        value_name = "N",
        env = "SMARTVM_MAX_STORED_BASE_IMAGES",
        hide_env_values = true,
        help_heading = "Base images"
    )]
    pub(crate) max_stored_images: Option<CacheLimit>,
    /// The bucket of Firecracker's CI, or a mirror [default: the official one]
    #[arg(
        long,
        value_name = "URL",
        env = "SMARTVM_BUCKET_URL",
        hide_env_values = true,
        help_heading = "Base images"
    )]
    bucket_url: Option<BucketUrl>,
    /// The page of Firecracker's releases, or a mirror [default: the official one]
    #[arg(
        long,
        value_name = "URL",
        env = "SMARTVM_RELEASE_URL",
        hide_env_values = true,
        help_heading = "Base images"
    )]
    release_url: Option<ReleaseSource>,
    /// Let a manifest from a public server name artifacts at private addresses or without HTTPS
    #[arg(long, env = "SMARTVM_ALLOW_PRIVATE_ARTIFACTS", help_heading = "Base images")]
    allow_private_artifacts: bool,
}

impl ImageSourceArgs {
    /// What keeps base images.
    pub(crate) fn manager(&self, settings: &Settings) -> Result<BaseImageManager, Failure> {
        let mut options = BaseImageManagerOptions::from(&settings.options());
        if let Some(limit) = self.max_stored_images {
            options.max_stored = limit;
        }
        if let Some(bucket) = &self.bucket_url {
            options.bucket = bucket.clone();
        }
        if let Some(releases) = &self.release_url {
            options.releases = releases.clone();
        }
        options.allow_private_artifacts |= self.allow_private_artifacts;
        let downloader = Downloader::new(DownloaderOptions::default());
        BaseImageManager::new(options, downloader).map_err(super::failed)
    }
}
