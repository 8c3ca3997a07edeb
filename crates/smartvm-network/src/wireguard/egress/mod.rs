//! The way out of a network through a WireGuard interface, and what keeps it the only one.
//!
//! Three locks close every other way; the first is the caller's:
//!
//! 1. nftables drops what the network's links send out of any other link. It needs no interface to exist.
//! 2. A rule refuses what no table has answered, and is there before any other rule.
//! 3. The table has a route that refuses, below the one through the interface.
//!
//! Set-up makes them in this order, then the interface, then the one way out. What vanishes, by whatever
//! hand, uncovers a lock. Removal takes them away in the opposite order, when there is no guest any more.

mod remove;
mod set_up;
mod set_up_error;
mod status;
mod step;

pub use remove::RemoveWireGuardError;
pub use set_up_error::SetUpWireGuardError;
pub use status::{WireGuardPeerReport, WireGuardReport};
pub use step::WireGuardStep;

use self::set_up::Wanted;
use super::way::WireGuardWay;
use crate::link::{FoundLink, LinkKind};
use crate::netlink::NetlinkError;
use crate::{InterfaceName, Subnet, names};

/// The WireGuard egress of a network. Making this value changes nothing, and neither does dropping it.
///
/// All that it makes is known again by what the kernel keeps with it, so another process can go on from
/// there or remove it: the interface by its link group, rules by their protocol and subnet, routes by
/// their protocol. Only one process at a time may change it: callers hold the network's lock.
#[derive(Debug, Clone)]
pub struct WireGuardEgress {
    network: InterfaceName,
    subnet: Subnet,
}

impl WireGuardEgress {
    /// That of the network with this bridge and this subnet.
    #[must_use]
    pub const fn new(network: InterfaceName, subnet: Subnet) -> Self {
        Self { network, subnet }
    }

    /// Makes it so that all that leaves the subnet goes through the interface; to be so already is
    /// success. A managed interface of this network that has another configuration gets the new one.
    /// Where not all traffic is to take this way, nothing is done. From what is written down alone, which
    /// has no keys, rules and routes are put back and a managed interface is brought up, but not made.
    ///
    /// Blocks, and longer where an endpoint's name must be looked up. Packets of the host itself, and
    /// those that are not from the subnet, go where they went before.
    ///
    /// The caller first has nftables drop what the subnet sends on any other way: between two steps
    /// here, that is what keeps it closed.
    ///
    /// # Errors
    /// `WIREGUARD_SETUP_FAILED`: the managed interface's name is taken, the existing one is not there or
    /// down, the recorded one is gone or has another configuration, the table has a default route of somebody else, or the kernel refuses. What this call had
    /// made is removed then, and nothing else.
    pub fn ensure(&self, way: &WireGuardWay) -> Result<(), SetUpWireGuardError> {
        self.ensure_stepwise(way, &mut |_| Ok(()))
    }

    /// The same; `before` is told each change to the host before it is made. Its error ends the set-up
    /// as that of the change would, so that a test can let each one fail.
    ///
    /// # Errors
    /// As [`ensure`](Self::ensure), and what `before` returns.
    pub fn ensure_stepwise(
        &self,
        way: &WireGuardWay,
        before: &mut dyn FnMut(WireGuardStep) -> Result<(), NetlinkError>,
    ) -> Result<(), SetUpWireGuardError> {
        let record = way.record();
        let Some(record) = record else { return Ok(()) };
        set_up::set_up(self, &Wanted { record: &record, config: way.config() }, before)
    }

    /// Removes all that [`ensure`](Self::ensure) made, in whatever process that was; to be gone already
    /// is success. An existing interface stays as it is.
    ///
    /// The caller removes the guests' links before this, and the rules of nftables after it: so there is
    /// no moment in which a guest has another way.
    ///
    /// # Errors
    /// All that could not be removed. The rest is gone.
    pub fn remove(&self) -> Result<(), RemoveWireGuardError> {
        self.remove_stepwise(&mut |_| Ok(()))
    }

    /// The same; `before` is told each change to the host before it is made. A change that it returns an
    /// error for is left out.
    ///
    /// # Errors
    /// As [`remove`](Self::remove), and what `before` returns.
    pub fn remove_stepwise(
        &self,
        before: &mut dyn FnMut(WireGuardStep) -> Result<(), NetlinkError>,
    ) -> Result<(), RemoveWireGuardError> {
        remove::remove(self, before)
    }

    /// What there is of it now, read from the kernel; none when there is nothing.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn report(&self) -> Result<Option<WireGuardReport>, NetlinkError> {
        status::report(self)
    }

    /// Whether a link is the managed interface of this network.
    fn made(&self, link: &FoundLink) -> bool {
        let group = names::wireguard_group(&self.network);
        link.group == group && link.kind == LinkKind::Other(super::interface::KIND.to_owned())
    }
}
