//! Removing what dead owners left.

use std::path::Path;

use super::detach::{DetachError, withdraw_rest};
use super::handle::{Kernel, Network};
use super::take_down;
use crate::state::{GuestRecord, HostState, NetworkState, owner_lives};
use crate::{InterfaceName, StateError, names};

/// What a sweep removed.
#[derive(Debug, Default)]
pub struct NetworkSweep {
    /// Interfaces, by their network and TAP, with the VM.
    pub interfaces: Vec<(InterfaceName, InterfaceName, String)>,
    /// Networks that nobody used any more.
    pub networks: Vec<InterfaceName>,
    /// What could not be removed, by network; the next sweep tries again.
    pub failed: Vec<(InterfaceName, DetachError)>,
}

impl Network {
    /// Removes interfaces whose owner has died, and networks that nobody uses. What has a living
    /// owner is not touched.
    ///
    /// # Errors
    /// When it cannot be read what exists.
    pub fn sweep(state_dir: &Path) -> Result<NetworkSweep, DetachError> {
        let mut swept = NetworkSweep::default();
        let Some(host) = HostState::existing(state_dir)? else { return Ok(swept) };
        host.sweep()?;
        for network in host.networks()? {
            if let Err(error) = sweep_one(&host, &network, &mut swept) {
                swept.failed.push((network, error));
            }
        }
        // Ports that a process took which was killed before it wrote down that it has them.
        host.sweep()?;
        Ok(swept)
    }
}

fn sweep_one(
    host: &HostState,
    network: &InterfaceName,
    swept: &mut NetworkSweep,
) -> Result<(), DetachError> {
    let state = NetworkState::new(host, network);
    let mut kernel = Kernel::open()?;
    let locked = state.lock()?;
    let guests = locked.state().guests()?;
    let lives = |guest: &GuestRecord| {
        owner_lives(guest).map_err(|source| {
            StateError::new(format!("look for the owner of {}", guest.vm), source)
        })
    };
    let mut dead = Vec::new();
    for guest in &guests {
        if !lives(guest)? {
            dead.push(guest);
        }
    }
    let group = names::link_group(network);
    if dead.len() == guests.len() {
        // All at once takes little longer than one.
        kernel.links.remove_group(group)?;
    } else {
        let known = |name: &str| guests.iter().any(|guest| guest.tap.as_str() == name);
        for link in kernel.links.of_group(group)? {
            if !known(&link.name)
                && let Ok(name) = link.name.parse()
            {
                kernel.links.remove(&name)?;
            }
        }
    }
    // Those that are left: all when others live, and one whose owner was killed before it was in
    // the group.
    let left = kernel.links.all()?;
    for guest in &dead {
        if left.iter().any(|link| link.is(&guest.tap)) {
            kernel.links.remove(&guest.tap)?;
        }
    }
    withdraw_rest(host, &locked, &mut kernel, &dead)?;
    for guest in dead {
        swept.interfaces.push((network.clone(), guest.tap.clone(), guest.vm.clone()));
    }
    if locked.is_unused()? && locked.state().guests()?.is_empty() {
        take_down::all(host, locked, &mut kernel)?;
        swept.networks.push(network.clone());
    }
    Ok(())
}
