//! `PUT /serial`, since 1.14.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::TokenBucket;

/// Where the guest's serial console is written. Before boot only.
///
/// [`FirecrackerProcess`](crate::FirecrackerProcess) reads the console from Firecracker's standard
/// output; a path moves it away from there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SerialDevice {
    /// A file or FIFO; Firecracker's standard output when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_out_path: Option<PathBuf>,
    /// A limit in bytes, beyond which output is dropped; unlimited when absent. Since 1.16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limiter: Option<TokenBucket>,
}
