//! Changing the policy of what runs.

use super::cut::Judge;
use super::detach::delete_unused_chain;
use super::handle::{Kernel, Network};
use crate::netlink::NetlinkError;
use crate::nft::{Change, Element, Family, Nftables, NotInForce, Verified};
use crate::policy::{EgressPolicy, GuestRules, Isolation};
use crate::state::{GuestRecord, Locked, NetworkRecord, StateError};
use crate::{InterfaceName, names};

/// A policy that could not be changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangePolicyError {
    /// There is no such guest.
    #[error("network {network} has no guest behind {tap}")]
    NoGuest {
        /// The network.
        network: InterfaceName,
        /// The TAP.
        tap: InterfaceName,
    },
    /// The kernel refused; the old rules are in force.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// The rules are not as they were made.
    #[error(transparent)]
    NotInForce(#[from] NotInForce),
    /// The files that say what exists cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
}

impl ChangePolicyError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoGuest { .. } => "NO_SUCH_INTERFACE",
            Self::Netlink(error) => error.code(),
            Self::NotInForce(error) => error.code(),
            Self::State(error) => error.code(),
        }
    }
}

impl Network {
    /// Changes where a running guest may connect to, of what its network may. Connections that the
    /// new policy does not allow are cut. Returns how many were.
    ///
    /// The new rules are put in force in one transaction, and connections are cut after it.
    ///
    /// # Errors
    /// `NO_SUCH_INTERFACE`, and what the kernel refuses: then the old policy is in force.
    pub fn set_guest_policy(
        &self,
        tap: &InterfaceName,
        egress: Option<EgressPolicy>,
    ) -> Result<usize, ChangePolicyError> {
        let mut kernel = self.kernel();
        let locked = self.state.lock()?;
        let missing =
            || ChangePolicyError::NoGuest { network: self.bridge.clone(), tap: tap.clone() };
        let old = locked.state().guest(tap)?.ok_or_else(missing)?;
        let network = locked.state().record()?.ok_or_else(missing)?;
        let guest = GuestRecord { egress, ..old.clone() };
        locked.write_guest(&guest)?;
        let swapped = swap(&mut kernel.nftables, &names::table(&self.bridge), &old, &guest);
        // The rules are not as they should be: they are put back whole.
        if swapped.is_err()
            && let Err(error) = put(&network, &locked, &mut kernel)
        {
            locked.write_guest(&old)?;
            return Err(error);
        }
        Ok(Judge::new(&network, &mut kernel)?.cut(&guest, &mut kernel)?)
    }

    /// Changes what is open in the network, and where all its guests may connect to. Connections
    /// that are not allowed any more are cut. Returns how many were.
    ///
    /// # Errors
    /// What the kernel refuses: then the old policy is in force.
    pub fn set_policy(
        &self,
        isolation: Isolation,
        egress: EgressPolicy,
    ) -> Result<usize, ChangePolicyError> {
        let mut kernel = self.kernel();
        let locked = self.state.lock()?;
        let (network, tap) = (self.bridge.clone(), self.bridge.clone());
        let missing = || ChangePolicyError::NoGuest { network, tap };
        let old = locked.state().record()?.ok_or_else(missing)?;
        let new = NetworkRecord { isolation, egress, ..old.clone() };
        let guests = locked.state().guests()?;
        locked.write_record(&new)?;
        let isolate = !new.isolation.vm_to_vm;
        if let Err(error) = put(&new, &locked, &mut kernel) {
            locked.write_record(&old)?;
            return Err(error);
        }
        let judge = Judge::new(&new, &mut kernel)?;
        let mut ended = 0;
        for guest in &guests {
            if old.isolation.vm_to_vm != new.isolation.vm_to_vm {
                match kernel.links.open_port(&guest.tap, isolate) {
                    // It is going.
                    Err(error) if error.is(libc::ENODEV) => {}
                    done => done?,
                }
            }
            ended += judge.cut(guest, &mut kernel)?;
        }
        Ok(ended)
    }
}

/// Lets a guest's packets go through the chain of another policy, and nothing else change.
fn swap(
    nftables: &mut Nftables,
    table: &str,
    old: &GuestRecord,
    new: &GuestRecord,
) -> Result<(), NetlinkError> {
    let element = |guest: &GuestRecord| {
        let chain = guest.egress.as_ref().map(GuestRules::chain_name);
        chain.map(|chain| vec![Element::policy(guest.address, &chain)])
    };
    let change = |first: Option<Change>| {
        let remove = element(old).map(|it| Change::Remove(Family::Inet, "policies", it));
        let add = element(new).map(|it| Change::Add(Family::Inet, "policies", it));
        first.into_iter().chain(remove).chain(add).collect::<Vec<_>>()
    };
    let mut done = nftables.change(table, &change(None));
    if let (Err(error), Some(policy)) = (&done, &new.egress)
        && error.is(libc::ENOENT)
    {
        let chain = GuestRules::chain_of(policy);
        done = nftables.change(table, &change(Some(Change::NewChain(Family::Inet, chain))));
    }
    done?;
    match old.egress.as_ref().filter(|_| old.egress != new.egress) {
        None => Ok(()),
        Some(policy) => delete_unused_chain(nftables, table, policy),
    }
}

fn put(
    network: &NetworkRecord,
    locked: &Locked<'_>,
    kernel: &mut Kernel,
) -> Result<(), ChangePolicyError> {
    let guests = locked.state().guests()?;
    let rules = super::reload::ruleset(network, &guests, &mut kernel.links)?;
    kernel.nftables.replace(&rules)?;
    kernel.nftables.verify(&rules, Verified::Rules)?;
    Ok(())
}
