//! The guest's serial port.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use smartvm_firecracker::api::SerialDevice;

use super::invalid::Breaches;
use super::rate_limiter::TokenBucketConfig;

/// Where the serial port leads. Since Firecracker 1.14; without this section it is the VM's console.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SerialConfig {
    /// A file or FIFO that takes what the guest writes, in place of the console. A file is private, appended
    /// to and rotated before it exceeds
    /// [`SmartVmOptions::output_file_limit`](crate::SmartVmOptions::output_file_limit).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_out_path: Option<PathBuf>,
    /// How fast the guest may write, in bytes; what exceeds it is dropped. Since Firecracker 1.16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limiter: Option<TokenBucketConfig>,
}

impl SerialConfig {
    /// Firecracker's form, which writes to the file of this name.
    pub(crate) fn to_wire(&self, file: &str) -> SerialDevice {
        SerialDevice {
            serial_out_path: self.serial_out_path.is_some().then(|| file.into()),
            rate_limiter: self.rate_limiter.as_ref().map(TokenBucketConfig::to_wire),
        }
    }

    pub(crate) fn check(&self, breaches: &mut Breaches) {
        if let Some(path) = &self.serial_out_path {
            breaches.require(
                !path.as_os_str().is_empty(),
                "serial.serialOutPath",
                "must not be empty",
            );
        }
        if let Some(bucket) = &self.rate_limiter {
            bucket.check("serial.rateLimiter", breaches);
        }
    }
}
