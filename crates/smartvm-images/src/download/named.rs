//! Kernels and root file systems that need no more than an address and a name.

use std::path::{Path, PathBuf};

use smartvm_dir::{PrivateDir, Trust};
use url::Url;

use super::download_error::DownloadError;
use super::downloader::Downloader;
use super::progress::Progress;
use super::request::Download;
use crate::Sha256Digest;
use crate::base_image::ArtifactFileName;

/// The most bytes that such a file may have.
const MAX_BYTES: u64 = 64 << 30;

/// Downloads a file into a directory, which is made for its owner alone (0700) when it is not there, and
/// returns where it is. A file of that name is replaced; one that hashes to `sha256` is used as it is.
///
/// # Errors
/// `DOWNLOAD_FAILED`; `UNSAFE_DIRECTORY` when others may write to the directory.
pub async fn download_into(
    dir: &Path,
    url: &str,
    name: &ArtifactFileName,
    sha256: Option<Sha256Digest>,
    downloader: &Downloader,
    progress: &dyn Progress,
) -> Result<PathBuf, DownloadError> {
    let url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let url = url.filter(Url::has_host).ok_or(DownloadError::Address)?;
    let target = PrivateDir::ensure_for(dir, Trust::UsOrRoot)?.path().join(name.as_str());
    let request = Download::new(url, &target, MAX_BYTES).with_sha256(sha256);
    downloader.download(&request, progress).await?;
    Ok(target)
}
