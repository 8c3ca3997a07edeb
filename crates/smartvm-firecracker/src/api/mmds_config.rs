//! `PUT /mmds/config`. The data itself, of `/mmds`, is any JSON object.

use serde::{Deserialize, Serialize};

use super::{DeviceId, MmdsAddress};

/// How the guest reaches the metadata service. Before boot only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MmdsConfig {
    /// The interfaces that answer for it: at least one, each configured before.
    pub network_interfaces: Vec<DeviceId>,
    /// Whether the guest needs a token; Firecracker's default is [`MmdsVersion::V1`], not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<MmdsVersion>,
    /// Where the guest finds it; Firecracker's default is [`MmdsAddress::DEFAULT`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4_address: Option<MmdsAddress>,
    /// Whether it answers text whatever is accepted, as EC2's does; Firecracker's default is no.
    /// Since 1.13.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imds_compat: Option<bool>,
}

/// Whether the guest needs a token to read metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MmdsVersion {
    /// It does not; deprecated by Firecracker.
    V1,
    /// It does, so that a process which can be tricked into a plain `GET` reads nothing.
    V2,
}
