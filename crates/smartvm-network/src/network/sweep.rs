//! Removing what dead owners left.

use std::collections::BTreeSet;
use std::path::Path;

use super::detach::DetachError;
use super::handle::{Kernel, Network};
use super::reload::ruleset;
use super::remove_many::remove_many;
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
    let dead = {
        let Some(locked) = state.lock_existing()? else { return Ok(()) };
        let set_aside = locked.set_aside_damaged()?;
        let guests = locked.state().guests()?;
        if set_aside && let Some(record) = locked.state().record()? {
            // Without those that nothing is known of any more.
            kernel.nftables.replace(&ruleset(&record, &guests, &mut kernel.links)?)?;
        }
        take_unknown(network, &guests, &mut kernel)?;
        let mut dead = Vec::new();
        for guest in guests {
            let lives = owner_lives(&guest).map_err(|source| {
                StateError::new(format!("look for the owner of {}", guest.vm), source)
            })?;
            if !lives {
                dead.push(guest);
            }
        }
        dead
    };
    // Without the lock: the kernel takes its time, and others start meanwhile.
    kernel.links.remove_group(names::dying_group(network))?;
    remove_many(host, &state, &mut kernel, &dead)?;
    for guest in dead {
        swept.interfaces.push((network.clone(), guest.tap, guest.vm));
    }
    let Some(locked) = state.lock_existing()? else { return Ok(()) };
    if locked.is_unused()? && locked.state().guests()?.is_empty() {
        take_down::all(host, locked, &mut kernel)?;
        swept.networks.push(network.clone());
    }
    Ok(())
}

/// Has the TAPs of the network removed that nobody has written down, but for those that a VM has open: what was written
/// down of it is damaged, and it is closed. The network's lock is held.
fn take_unknown(
    network: &InterfaceName,
    guests: &[GuestRecord],
    kernel: &mut Kernel,
) -> Result<(), DetachError> {
    let known: BTreeSet<&str> = guests.iter().map(|guest| guest.tap.as_str()).collect();
    for link in kernel.links.of_group(names::link_group(network))? {
        if !known.contains(link.name.as_str())
            && !link.is_open
            && let Ok(name) = link.name.parse()
        {
            kernel.links.move_to_group(&name, names::dying_group(network))?;
        }
    }
    Ok(())
}
