//! Small documents: checksums, listings, manifests, and where a redirect leads.

use std::net::IpAddr;

use bytes::BytesMut;
use reqwest::Response;
use url::Url;

use super::download_error::DownloadError;
use super::downloader::Downloader;
use super::response;
use super::retry::Retry;
use crate::shown_url::ShownUrl;

impl Downloader {
    /// Fetches a document of at most `limit` bytes into memory. What may pass is tried again.
    pub(crate) async fn fetch_document(
        &self,
        url: &Url,
        limit: u64,
    ) -> Result<Vec<u8>, DownloadError> {
        Ok(self.fetch_document_and_origin(url, limit).await?.0)
    }

    /// The same, with the address that it came from: the server's, or a proxy's.
    pub(crate) async fn fetch_document_and_origin(
        &self,
        url: &Url,
        limit: u64,
    ) -> Result<(Vec<u8>, Option<IpAddr>), DownloadError> {
        self.again(|| async {
            let mut response = self.get(url).await?;
            let from = response.remote_addr().map(|address| address.ip());
            let too_large = || DownloadError::TooLarge { url: ShownUrl(url).to_string(), limit };
            if response.content_length().is_some_and(|length| length > limit) {
                return Err(too_large());
            }
            let mut document = BytesMut::new();
            while let Some(bytes) = response.chunk().await.map_err(|e| transport(url, e))? {
                if (document.len() + bytes.len()) as u64 > limit {
                    return Err(too_large());
                }
                document.extend_from_slice(&bytes);
            }
            Ok((document.to_vec(), from))
        })
        .await
    }

    /// Follows redirects, and says where they end. The document there is not read.
    pub(crate) async fn final_address(&self, url: &Url) -> Result<Url, DownloadError> {
        self.again(|| async { Ok(self.get(url).await?.url().clone()) }).await
    }

    async fn get(&self, url: &Url) -> Result<Response, DownloadError> {
        let response =
            self.client()?.get(url.clone()).send().await.map_err(|error| transport(url, error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let retry_after = response::retry_after(response.headers());
        let url = ShownUrl(url).to_string();
        Err(DownloadError::Status { url, status: status.as_u16(), retry_after })
    }

    async fn again<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, DownloadError>
    where
        F: Future<Output = Result<T, DownloadError>>,
    {
        let mut retry = Retry::new(self.options.tries, self.options.first_pause);
        loop {
            let error = match attempt().await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let Some(pause) = retry.after(&error, 0) else { return Err(error) };
            tracing::debug!(problem = error.in_a_line(), ?pause, "a request is tried again");
            tokio::time::sleep(pause).await;
        }
    }
}

fn transport(url: &Url, source: reqwest::Error) -> DownloadError {
    DownloadError::Transport { url: ShownUrl(url).to_string(), source: source.without_url() }
}
