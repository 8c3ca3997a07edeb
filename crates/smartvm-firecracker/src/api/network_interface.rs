//! `PUT` and `PATCH /network-interfaces/{iface_id}`.

use serde::{Deserialize, Serialize};

use super::{DeviceId, MacAddress, Mtu, RateLimiter};

/// A network interface of the guest. Before boot; since 1.16 also after it, as a hotplug.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkInterface {
    /// Names the interface; also the last part of the request's path.
    pub iface_id: DeviceId,
    /// The TAP device of the host, at most 15 bytes. It is opened when the request is made, and
    /// made if it is not there and Firecracker may.
    pub host_dev_name: String,
    /// The guest's hardware address, unique within the VM; the guest chooses one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest_mac: Option<MacAddress>,
    /// The longest packet that the guest is told to send; not told when absent. Since 1.16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<Mtu>,
    /// Limits to what the guest receives; unlimited when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rx_rate_limiter: Option<RateLimiter>,
    /// Limits to what the guest sends; unlimited when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx_rate_limiter: Option<RateLimiter>,
}

impl NetworkInterface {
    /// An interface on a TAP device, all else as Firecracker has it by default.
    #[must_use]
    pub fn new(iface_id: DeviceId, host_dev_name: impl Into<String>) -> Self {
        Self {
            iface_id,
            host_dev_name: host_dev_name.into(),
            guest_mac: None,
            mtu: None,
            rx_rate_limiter: None,
            tx_rate_limiter: None,
        }
    }
}

/// Other limits for a network interface; what is absent stays. After boot only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartialNetworkInterface {
    /// Which interface.
    pub iface_id: DeviceId,
    /// Limits to what the guest receives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rx_rate_limiter: Option<RateLimiter>,
    /// Limits to what the guest sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx_rate_limiter: Option<RateLimiter>,
}
