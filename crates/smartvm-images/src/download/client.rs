//! The HTTP client.

use std::sync::Arc;

use reqwest::redirect::{Attempt, Policy};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;

use super::download_error::DownloadError;
use super::downloader::{DownloaderOptions, Reach};
use super::public_only::{PublicNames, check};

/// How many addresses a request may be sent on to.
const MAX_REDIRECTS: usize = 10;

/// A client that trusts what the system trusts, uses the system's proxies, and never leaves HTTPS.
///
/// One for the public alone uses no proxy: only who connects can tell to whom.
pub(super) fn client(
    options: &DownloaderOptions,
    reach: Reach,
) -> Result<reqwest::Client, DownloadError> {
    let builder = match reach {
        Reach::Anywhere => reqwest::Client::builder().redirect(Policy::custom(follow)),
        Reach::PublicOnly => reqwest::Client::builder()
            .redirect(Policy::custom(follow_in_public))
            .dns_resolver(PublicNames)
            .no_proxy(),
    };
    builder
        .tls_backend_preconfigured(tls())
        .connect_timeout(options.connect_timeout)
        .read_timeout(options.stall_timeout)
        .user_agent(concat!("smartvm/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|source| DownloadError::Tls { source: source.into() })
}

/// A host without certificates can still use plain HTTP, as to a mirror of its own.
fn tls() -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has the suites of TLS 1.2 and 1.3");
    match builder.clone().with_platform_verifier() {
        Ok(builder) => builder.with_no_client_auth(),
        Err(error) => {
            tracing::warn!(%error, "no server can be trusted over HTTPS");
            builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth()
        }
    }
}

fn follow_in_public(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    match check(attempt.url()) {
        Ok(()) => follow(attempt),
        Err(not_public) => attempt.error(not_public),
    }
}

fn follow(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    if attempt.previous().len() > MAX_REDIRECTS {
        return attempt.error("too many redirects");
    }
    let leaves_https = attempt.previous().iter().any(|url| url.scheme() == "https")
        && attempt.url().scheme() != "https";
    if leaves_https { attempt.error("a redirect leaves HTTPS") } else { attempt.follow() }
}
