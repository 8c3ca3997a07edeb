//! What is written down of a WireGuard egress.

use serde::{Deserialize, Serialize};

use super::digest::digest;
use super::spec::WireGuardSpec;
use crate::InterfaceName;

/// A WireGuard egress as it is written down: how it is known again, and no key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WireGuardRecord {
    /// The interface that guests' packets leave through.
    pub interface: InterfaceName,
    /// Its routing table.
    pub route_table: u32,
    /// Whether what would leave on any other way is dropped.
    pub fail_closed: bool,
    /// What tells its configuration from others, when the interface is ours; no part of it can be had
    /// from that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<String>,
}

impl WireGuardRecord {
    /// That of an egress; none when it takes no traffic.
    #[must_use]
    pub fn of(spec: &WireGuardSpec) -> Option<Self> {
        spec.routes_all_vm_traffic().then(|| Self {
            interface: spec.interface().clone(),
            route_table: spec.route_table(),
            fail_closed: spec.fails_closed(),
            managed: spec.managed().map(digest),
        })
    }
}
