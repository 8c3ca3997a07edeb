//! Taking a network down.

use super::detach::DetachError;
use super::handle::{Kernel, Network};
use crate::link::LinkKind;
use crate::names;
use crate::policy::NetworkRules;
use crate::state::{HostState, Locked, NetworkRecord};

impl Network {
    /// Stops using the network, and takes it down when nobody uses it any more: bridge, rules,
    /// forwarding as it was. With guests of other owners, or other users, it stays. Returns whether
    /// it was taken down.
    ///
    /// # Errors
    /// What the kernel refuses; the next sweep tries again.
    pub fn close(self) -> Result<bool, DetachError> {
        let Self { watch, host, state, kernel, in_use, .. } = self;
        drop(watch);
        let locked = state.lock()?;
        drop(in_use);
        if !locked.is_unused()? || !locked.state().guests()?.is_empty() {
            return Ok(false);
        }
        let mut kernel = kernel.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        all(&host, locked, &mut kernel)?;
        Ok(true)
    }
}

/// Removes all of a network that nobody uses and that has no guests. What is gone already is no
/// error; what fails can be tried again.
pub(super) fn all(
    host: &HostState,
    locked: Locked<'_>,
    kernel: &mut Kernel,
) -> Result<(), DetachError> {
    if let Some(record) = locked.state().record()? {
        parts(host, &record, kernel)?;
    }
    locked.remove()?;
    Ok(())
}

/// Removes what the record names, but not the record.
pub(super) fn parts(
    host: &HostState,
    record: &NetworkRecord,
    kernel: &mut Kernel,
) -> Result<(), DetachError> {
    let network = &record.bridge;
    // First what lets packets pass, last what holds them back.
    kernel.links.remove_group(names::link_group(network))?;
    host.release_forwarding(network, &mut kernel.for_forwarding())?;
    if record.bridge_is_ours
        && let Some(link) = kernel.links.find(network)?
        && link.kind == LinkKind::Bridge
    {
        kernel.links.remove(network)?;
    }
    if record.wireguard.is_some() {
        record.wireguard_egress().remove()?;
    }
    Ok(kernel.nftables.remove(&names::table(network), &NetworkRules::FAMILIES)?)
}
