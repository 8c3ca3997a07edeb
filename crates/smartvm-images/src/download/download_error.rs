//! Why a download failed.

use std::io;
use std::path::PathBuf;

use smartvm_dir::UnsafeDirectory;
use thiserror::Error;
use url::Url;

use super::public_only::NotPublic;
use crate::Sha256Digest;
use crate::shown_url::ShownUrl;

/// The reason why a download failed. Addresses are shown without password and query.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DownloadError {
    /// The address is none. It is not shown: it may carry a password.
    #[error("the address of a download must be an http or https URL")]
    Address,
    /// The directory cannot be used.
    #[error(transparent)]
    Dir(#[from] UnsafeDirectory),
    /// The server was not reached, or broke off.
    #[error("failed to get {url}")]
    Transport {
        /// The address.
        url: String,
        /// What went wrong.
        #[source]
        source: reqwest::Error,
    },
    /// Somebody of the public network has named it, and it is not there.
    #[error("{url} was named by a server of the public network, and {problem}")]
    NotPublic {
        /// The address.
        url: String,
        /// What of it is not public.
        problem: String,
    },
    /// The server sent next to nothing for too long.
    #[error("{url} came too slowly: {bytes} bytes in {seconds} s")]
    TooSlow {
        /// The address.
        url: String,
        /// What came.
        bytes: u64,
        /// In how long.
        seconds: u64,
    },
    /// The server stopped before the end, or began anew.
    #[error("{url} broke off after {found} bytes")]
    Short {
        /// The address.
        url: String,
        /// How many bytes there are.
        found: u64,
        /// How many there were to be, when the server said.
        expected: Option<u64>,
    },
    /// The server answered that it has it not, or will not give it.
    #[error("{url} is not to be had: the server answered {status}")]
    Status {
        /// The address.
        url: String,
        /// The status, such as 404.
        status: u16,
        /// After how many seconds the server wants to be asked again.
        retry_after: Option<u64>,
    },
    /// The answer makes no sense.
    #[error("{url} was answered in a way that cannot be used: {problem}")]
    BadAnswer {
        /// The address.
        url: String,
        /// Why.
        problem: String,
    },
    /// It has more bytes than it may.
    #[error("{url} is larger than the {limit} bytes that it may have")]
    TooLarge {
        /// The address.
        url: String,
        /// The most bytes.
        limit: u64,
    },
    /// It has not the size it must have.
    #[error("{url} has {found} bytes and not {expected}")]
    WrongSize {
        /// The address.
        url: String,
        /// The size it must have.
        expected: u64,
        /// The size it has.
        found: u64,
    },
    /// It is not what it must be.
    #[error("{url} has the SHA-256 {found} and not {expected}")]
    WrongHash {
        /// The address.
        url: String,
        /// What it must hash to.
        expected: Sha256Digest,
        /// What it hashes to.
        found: Sha256Digest,
    },
    /// There is not enough room for it.
    #[error("{} bytes are needed at `{}` and {available} are free", needed, path.display())]
    NoSpace {
        /// The unfinished file.
        path: PathBuf,
        /// How many bytes are still to come.
        needed: u64,
        /// How many bytes are free.
        available: u64,
    },
    /// The operating system refused.
    #[error("failed to {action} `{}`", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// TLS could not be set up.
    #[error("failed to set up HTTPS")]
    Tls {
        /// What went wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl DownloadError {
    /// The stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Dir(error) => error.code(),
            _ => "DOWNLOAD_FAILED",
        }
    }

    /// What a person can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Dir(error) => return error.hint(),
            Self::Transport { source, .. } if is_about_certificate(source) => {
                "the server's certificate is not one that this machine trusts; an authority of your \
                 own is taken from the PEM file that SSL_CERT_FILE names"
                    .to_owned()
            }
            Self::Transport { source, .. } if source.is_connect() => {
                "see whether the host is reached from here; a proxy is taken from HTTPS_PROXY, \
                 HTTP_PROXY and NO_PROXY"
                    .to_owned()
            }
            Self::Transport { source, .. } if source.is_redirect() => {
                "the server sends from one address to another without end, or away from HTTPS"
                    .to_owned()
            }
            Self::Transport { .. } | Self::TooSlow { .. } | Self::Short { .. } => {
                "try again: it goes on where it stopped".to_owned()
            }
            Self::WrongHash { .. } | Self::WrongSize { .. } => {
                "what is served is not what was promised: ask whoever hosts it".to_owned()
            }
            Self::NotPublic { .. } => {
                "if its author may have you ask hosts of your own network, say so with \
                 --allow-private-artifacts (allowPrivateArtifacts)"
                    .to_owned()
            }
            Self::NoSpace { .. } => "free some space, or choose another directory".to_owned(),
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "free some space, or choose another directory".to_owned()
            }
            _ => return None,
        })
    }

    /// What of an address keeps it from being reached where only public ones may be.
    pub(super) fn not_public(url: &Url, problem: NotPublic) -> Self {
        Self::NotPublic { url: ShownUrl(url).to_string(), problem: problem.to_string() }
    }

    /// Whether it may go better the next time.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Transport { source, .. } => {
                !(source.is_redirect() || source.is_builder() || is_about_certificate(source))
            }
            Self::TooSlow { .. } | Self::Short { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500..=599),
            _ => false,
        }
    }

    /// Whether the bytes that came were wrong, not only too few.
    pub(crate) fn is_about_content(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::WrongSize { .. } | Self::WrongHash { .. })
    }

    /// The whole chain in one line, for a log or a progress line.
    pub(super) fn in_a_line(&self) -> String {
        let chain = std::iter::successors(Some(self as &dyn std::error::Error), |e| e.source());
        chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }
}

/// Whether the server was refused for its certificate.
fn is_about_certificate(error: &(dyn std::error::Error + 'static)) -> bool {
    // An I/O error's source is that of what it holds, so what it holds would be passed over.
    if let Some(held) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        return is_about_certificate(held);
    }
    matches!(error.downcast_ref(), Some(rustls::Error::InvalidCertificate(_)))
        || error.source().is_some_and(is_about_certificate)
}
