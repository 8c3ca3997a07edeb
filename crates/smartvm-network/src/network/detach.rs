//! Removing the interface of a VM.

use std::io;
use std::path::Path;

use super::handle::{Kernel, Network};
use super::reload::ruleset;
use super::remove_many::remove_together;
use crate::netlink::NetlinkError;
use crate::nft::{Change, Family, Nftables};
use crate::policy::{EgressPolicy, GuestRules};
use crate::state::{GuestRecord, HostState, Locked, NetworkState, StateError};
use crate::wireguard::RemoveWireGuardError;
use crate::{InterfaceName, names};

/// Something of an interface or of a network that could not be removed. The next sweep tries again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DetachError {
    /// The kernel refused.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// What was made for WireGuard is not gone.
    #[error(transparent)]
    WireGuard(#[from] RemoveWireGuardError),
    /// The files that say what exists cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// A step was not done.
    #[error("cannot {step}")]
    Step {
        /// The step.
        step: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl DetachError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Netlink(error) => error.code(),
            Self::WireGuard(error) => error.code(),
            Self::State(error) => error.code(),
            Self::Step { .. } => "NETWORK_FAILED",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Netlink(error) => error.hint(),
            Self::WireGuard(_) => None,
            Self::State(error) => error.hint(),
            Self::Step { .. } => None,
        }
    }
}

impl Network {
    /// Removes the interface behind a TAP from what is written down of it, by any process, whether
    /// it uses the network or not. To be gone already is success.
    ///
    /// Blocks. Those of one network that several threads of this process remove at once go together, in
    /// the network namespace of one of these threads.
    ///
    /// # Errors
    /// What the kernel refuses; what is left can be removed by another try or the next sweep.
    pub fn remove_interface(
        state_dir: &Path,
        network: &InterfaceName,
        tap: &InterfaceName,
    ) -> Result<(), DetachError> {
        let Some(host) = HostState::existing(state_dir)? else { return Ok(()) };
        let state = NetworkState::new(&host, network);
        let found = match state.guest(tap) {
            Ok(found) => found,
            Err(error) => {
                // It says nothing that could be removed, but its name does.
                if !state.lock()?.set_aside_damaged()? {
                    return Err(error.into());
                }
                None
            }
        };
        match found {
            Some(guest) => remove_together(state_dir, &host, &state, guest),
            None => remove_unknown(&state, tap),
        }
    }

    /// Removes the interface behind a TAP, whoever made it: TAP, rules, connections, ports and
    /// address, in this order. To be gone already is success.
    ///
    /// # Errors
    /// What the kernel refuses; what is left can be removed by another try or the next sweep.
    pub fn detach(&self, tap: &InterfaceName) -> Result<(), DetachError> {
        let step =
            |step| self.on_step.reach(step).map_err(|source| DetachError::Step { step, source });
        let mut kernel = self.kernel();
        step("remove tap")?;
        // Without the lock, which others need: nobody else makes a TAP of this name while it is
        // written down.
        kernel.links.remove(tap)?;
        let locked = self.state.lock()?;
        step("withdraw rules")?;
        if let Some(guest) = locked.state().guest(tap)? {
            withdraw(&self.host, &locked, &mut kernel, &guest)?;
        }
        step("forget")
    }
}

/// Removes a TAP of the network that nothing is written down of any more, and has the rules be those of the others.
fn remove_unknown(state: &NetworkState, tap: &InterfaceName) -> Result<(), DetachError> {
    let mut kernel = Kernel::open()?;
    let Some(link) = kernel.links.find(tap)? else { return Ok(()) };
    if link.group != names::link_group(state.network()) {
        return Ok(());
    }
    kernel.links.remove(tap)?;
    let locked = state.lock()?;
    if let Some(record) = locked.state().record()? {
        let guests = locked.state().guests()?;
        kernel.nftables.replace(&ruleset(&record, &guests, &mut kernel.links)?)?;
    }
    Ok(())
}

/// Removes all of an interface. What is gone already is no error.
pub(super) fn withdraw(
    host: &HostState,
    locked: &Locked<'_>,
    kernel: &mut Kernel,
    guest: &GuestRecord,
) -> Result<(), DetachError> {
    kernel.links.remove(&guest.tap)?;
    withdraw_rest(host, locked, kernel, &[guest])
}

/// Removes all of interfaces but their TAPs, which are gone. What else is gone already is no error.
pub(super) fn withdraw_rest(
    host: &HostState,
    locked: &Locked<'_>,
    kernel: &mut Kernel,
    guests: &[&GuestRecord],
) -> Result<(), DetachError> {
    if guests.is_empty() {
        return Ok(());
    }
    let network = locked.state().network();
    let table = names::table(network);
    let rules: Vec<_> = guests.iter().map(|guest| guest.rules()).collect();
    withdraw_rules(&mut kernel.nftables, &table, &rules)?;
    // The next guest with this address must not be spoken to by whom this one spoke with.
    let addresses: Vec<_> = guests.iter().map(|guest| guest.address).collect();
    kernel.connections()?.cut_all(&addresses)?;
    for guest in guests {
        host.release_ports(network, &guest.tap, &guest.published)?;
        locked.release(guest.address, &guest.tap)?;
        locked.remove_guest(&guest.tap)?;
    }
    Ok(())
}

/// Removes what guests added to the rules, and the chains of their policies with the last guest of each.
fn withdraw_rules(
    nftables: &mut Nftables,
    table: &str,
    rules: &[GuestRules],
) -> Result<(), NetlinkError> {
    let elements = || rules.iter().flat_map(GuestRules::elements);
    let removals = || elements().map(|(family, set, it)| Change::Remove(family, set, it));
    let all: Vec<_> = removals().collect();
    if all.is_empty() {
        return Ok(());
    }
    match nftables.change(table, &all) {
        // Something of it is not there: each by itself, then.
        Err(error) if error.is(libc::ENOENT) => {
            for removal in removals() {
                gone(nftables.change(table, &[removal]))?;
            }
        }
        done => done?,
    }
    for bounds in rules.iter().filter_map(|rules| rules.bounds) {
        // The first leads to the second.
        let chains = bounds.chain_names().map(|chain| Change::DeleteChain(Family::Inet, chain));
        unused(nftables.change(table, &chains))?;
    }
    let mut policies = rules.iter().filter_map(|rules| rules.egress.as_ref());
    policies.try_for_each(|policy| delete_unused_chain(nftables, table, policy))
}

/// Removes the chain of a policy, unless a guest has it.
pub(super) fn delete_unused_chain(
    nftables: &mut Nftables,
    table: &str,
    policy: &EgressPolicy,
) -> Result<(), NetlinkError> {
    let chain = GuestRules::chain_name(policy);
    unused(nftables.change(table, &[Change::DeleteChain(Family::Inet, chain)]))
}

/// To be in use, or gone, is no error.
fn unused(done: Result<(), NetlinkError>) -> Result<(), NetlinkError> {
    match done {
        Err(error) if error.is(libc::EBUSY) => Ok(()),
        done => gone(done),
    }
}

fn gone(done: Result<(), NetlinkError>) -> Result<(), NetlinkError> {
    match done {
        Err(error) if error.is(libc::ENOENT) => Ok(()),
        done => done,
    }
}
