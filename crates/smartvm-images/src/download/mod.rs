//! Downloads: over HTTPS, verified while the bytes arrive, resumed where they stopped.
//!
//! [`Downloader::download`] goes `downloader` → `attempt` (one request; `response` says what the answer
//! means) → `part` (the unfinished file, its hash, and what a later try must know of it), again after
//! a pause (`retry`) while what went wrong may pass. A file has its name only when it is whole.

mod attempt;
mod client;
mod download_error;
mod downloader;
mod named;
mod part;
mod part_record;
mod progress;
mod public_only;
mod request;
mod response;
mod retry;
mod sink;
mod text;

pub use download_error::DownloadError;
pub use downloader::{Downloader, DownloaderOptions};
pub use named::download_into;
pub use progress::{Progress, ProgressEvent};
pub(crate) use public_only::is_of_the_public;
pub use request::{Download, Downloaded};
