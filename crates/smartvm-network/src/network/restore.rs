//! Putting links, addresses and routes of a network back as they were made.

use super::damage::NetworkDamage;
use super::handle::Kernel;
use super::open::make_bridge;
use super::open_error::OpenNetworkError;
use crate::InterfaceName;
use crate::link::Links;
use crate::netlink::NetlinkError;
use crate::routing::{PolicyRouting, Rule};
use crate::state::{GuestRecord, NetworkRecord};

/// Mends what others have done to a network; its rules are in force. Returns what there was. A bridge of others is left
/// to them.
pub(super) fn restore(
    record: &NetworkRecord,
    guests: &[GuestRecord],
    kernel: &mut Kernel,
) -> Result<Vec<NetworkDamage>, OpenNetworkError> {
    let links = &mut kernel.links;
    let found = NetworkDamage::find(record, guests, links)?;
    let mut left = found.clone();
    if !found.is_empty() && record.bridge_is_ours {
        make_bridge(record, links, &|_| Ok(()))?;
        // What hung on the bridge is seen now.
        left = NetworkDamage::find(record, guests, links)?;
    }
    for damage in &left {
        match damage {
            NetworkDamage::LinkOffBridge { tap, .. } | NetworkDamage::LinkDown { tap, .. } => {
                put_back(record, guests, tap, links)?;
            }
            NetworkDamage::AnswersElsewhere { .. } => {
                PolicyRouting::open()?.add_rule(&Rule::to_subnet(record.subnet))?;
            }
            NetworkDamage::BridgeMissing
            | NetworkDamage::BridgeDown
            | NetworkDamage::GatewayMissing => {}
        }
    }
    Ok(found)
}

/// Puts the host's end of a guest's interface on the bridge again. It is down until the bridge knows what it is.
fn put_back(
    record: &NetworkRecord,
    guests: &[GuestRecord],
    tap: &InterfaceName,
    links: &mut Links,
) -> Result<(), NetlinkError> {
    let Some(guest) = guests.iter().find(|guest| guest.tap == *tap) else { return Ok(()) };
    let Some(bridge) = links.find(&record.bridge)? else { return Ok(()) };
    let mut put = || {
        links.set_up(tap, false)?;
        links.rejoin(tap, bridge.index)?;
        links.pin_again(tap, guest.mac)?;
        links.open_port(tap, !record.isolation.vm_to_vm)
    };
    match put() {
        // It is going.
        Err(error) if error.is(libc::ENODEV) => Ok(()),
        done => done,
    }
}
