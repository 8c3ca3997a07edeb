//! The body of every refusal.

use serde::{Deserialize, Serialize};

/// Why Firecracker refused a request: `Error` in its specification.
///
/// [`ApiClient`](crate::ApiClient) reads it, and the other forms that a refusal takes, into
/// [`ApiError::Refused`](crate::ApiError::Refused).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Firecracker's words. Its HTTP layer says `error` instead.
    #[serde(default, alias = "error", skip_serializing_if = "Option::is_none")]
    pub fault_message: Option<String>,
}
