//! What exists for an interface of a VM.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use smartvm_dir::ProcessIdentity;

use crate::policy::{EgressPolicy, GuestBounds, GuestRules, PublishedPort};
use crate::{InterfaceName, MacAddress};

/// An interface of a VM, as it is written down before it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GuestRecord {
    /// The version of this form.
    pub schema_version: u32,
    /// The VM.
    pub vm: String,
    /// Its interface.
    pub iface: String,
    /// The host's end of it.
    pub tap: InterfaceName,
    /// The guest's hardware address.
    pub mac: MacAddress,
    /// The guest's address.
    pub address: Ipv4Addr,
    /// Where it may connect to, of what its network may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<EgressPolicy>,
    /// Which ports of the host lead to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub published: Vec<PublishedPort>,
    /// What it may take of the host's tables, where that is not what its network says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<GuestBounds>,
    /// Whom it was told to ask for names.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub resolvers: BTreeSet<Ipv4Addr>,
    /// A file whose lock is held for as long as the owner lives.
    pub owner: PathBuf,
    /// The owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_process: Option<ProcessIdentity>,
}

impl GuestRecord {
    /// What it adds to the rules.
    #[must_use]
    pub fn rules(&self) -> GuestRules {
        GuestRules {
            tap: self.tap.clone(),
            mac: self.mac,
            address: self.address,
            egress: self.egress.clone(),
            published: self.published.clone(),
            bounds: self.bounds,
            resolvers: self.resolvers.clone(),
        }
    }
}
