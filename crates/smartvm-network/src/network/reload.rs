//! Putting rules back.

use std::path::Path;

use super::handle::{Kernel, Network};
use super::open_error::OpenNetworkError;
use super::restore::restore;
use super::step::StepHook;
use crate::InterfaceName;
use crate::link::Links;
use crate::netlink::NetlinkError;
use crate::nft::{Ruleset, Verified};
use crate::policy::Neighbourhood;
use crate::state::{GuestRecord, HostState, Locked, NetworkRecord, NetworkState};
use crate::wireguard::WireGuardWay;

impl Network {
    /// Puts the rules of a network in force again, whole and in one transaction, from what is
    /// written down; as after another program has removed all rules. So are what the bridge holds of its
    /// guests' links, these links, the bridge and its address, the way to guests, the routes to its WireGuard interface, and forwarding. Returns whether there is such a network.
    ///
    /// # Errors
    /// What the kernel refuses, or does not do as it was told.
    pub fn reload(state_dir: &Path, network: &InterfaceName) -> Result<bool, OpenNetworkError> {
        let Some(host) = HostState::existing(state_dir)? else { return Ok(false) };
        if !host.networks()?.contains(network) {
            return Ok(false);
        }
        let state = NetworkState::new(&host, network);
        let mut kernel = Kernel::open()?;
        let locked = state.lock()?;
        let Some(record) = locked.state().record()? else { return Ok(false) };
        let guests = locked.state().guests()?;
        let rules = ruleset(&record, &guests, &mut kernel.links)?;
        kernel.nftables.replace(&rules)?;
        kernel.nftables.verify(&rules, Verified::Everything)?;
        for damage in restore(&record, &guests, &mut kernel)? {
            tracing::info!(%network, "mended: {damage}");
        }
        if let Some(wireguard) = &record.wireguard {
            let way = WireGuardWay::Recorded(wireguard.clone());
            record.wireguard_egress().ensure(&way)?;
        }
        super::open::need_forwarding(&record, &host, &mut kernel, &StepHook::default())?;
        close_ports(&record, &locked, &mut kernel)?;
        Ok(true)
    }
}

/// Has the bridge learn nothing from guests again, and know who is behind which link.
fn close_ports(
    record: &NetworkRecord,
    locked: &Locked<'_>,
    kernel: &mut Kernel,
) -> Result<(), OpenNetworkError> {
    for guest in locked.state().guests()? {
        let links = &mut kernel.links;
        // Before the link is locked to whom the bridge knows there.
        let pinned = links.pin_again(&guest.tap, guest.mac);
        let closed = pinned.and_then(|()| links.open_port(&guest.tap, !record.isolation.vm_to_vm));
        match closed {
            // It is going.
            Err(error) if error.is(libc::ENODEV) => {}
            closed => closed?,
        }
    }
    Ok(())
}

/// All rules of a network as it is written down, on the host as it is now.
pub(super) fn ruleset(
    record: &NetworkRecord,
    guests: &[GuestRecord],
    links: &mut Links,
) -> Result<Ruleset, NetlinkError> {
    let neighbourhood = Neighbourhood::new(links.networks()?);
    let guests: Vec<_> = guests.iter().map(GuestRecord::rules).collect();
    Ok(record.rules(neighbourhood).render(&guests))
}
