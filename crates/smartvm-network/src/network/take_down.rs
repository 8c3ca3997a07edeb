//! Taking a network down.

use super::detach::DetachError;
use super::handle::{Kernel, Network};
use crate::link::{FoundLink, LinkKind, Links};
use crate::netlink::NetlinkError;
use crate::policy::NetworkRules;
use crate::routing::{PolicyRouting, Rule};
use crate::state::{GuestRecord, HostState, Locked, NetworkRecord};
use crate::{InterfaceName, WireGuardEgress, names};

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
    locked.set_aside_damaged()?;
    match locked.state().record()? {
        Some(record) => parts(host, &record, kernel)?,
        None => nameless_parts(host, locked.state().network(), kernel)?,
    }
    locked.remove()?;
    Ok(())
}

/// Whether a bridge that nothing is written down of is one that we made: it says so, and nobody else's links are on it.
pub(super) fn is_our_bridge(
    link: &FoundLink,
    guests: &[GuestRecord],
    links: &mut Links,
) -> Result<bool, NetlinkError> {
    let is_guests = |port: &FoundLink| guests.iter().any(|guest| port.is(&guest.tap));
    let ours = link.kind == LinkKind::Bridge
        && link.name.parse().is_ok_and(|name| link.alias == Some(names::bridge_alias(&name)));
    Ok(ours && links.ports(link)?.iter().all(is_guests))
}

/// Removes what can be told to be of a network when what was written down of it is gone or damaged.
fn nameless_parts(
    host: &HostState,
    network: &InterfaceName,
    kernel: &mut Kernel,
) -> Result<(), DetachError> {
    let Some(bridge) = kernel.links.find(network)? else {
        host.release_forwarding(network, &mut kernel.for_forwarding())?;
        return Ok(kernel.nftables.remove(&names::table(network), &NetworkRules::FAMILIES)?);
    };
    if !is_our_bridge(&bridge, &[], &mut kernel.links)? {
        return Ok(());
    }
    // By its subnet the way out through WireGuard is found.
    let addresses = kernel.links.addresses(bridge.index)?;
    let subnet = addresses
        .first()
        .and_then(|(address, prefix)| format!("{address}/{prefix}").parse::<crate::Subnet>().ok());
    host.release_forwarding(network, &mut kernel.for_forwarding())?;
    kernel.links.remove(network)?;
    if let Some(subnet) = subnet {
        PolicyRouting::open()?.remove_rule(&Rule::to_subnet(subnet))?;
        WireGuardEgress::new(network.clone(), subnet).remove()?;
    }
    Ok(kernel.nftables.remove(&names::table(network), &NetworkRules::FAMILIES)?)
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
    PolicyRouting::open()?.remove_rule(&Rule::to_subnet(record.subnet))?;
    if record.wireguard.is_some() {
        record.wireguard_egress().remove()?;
    }
    Ok(kernel.nftables.remove(&names::table(network), &NetworkRules::FAMILIES)?)
}
