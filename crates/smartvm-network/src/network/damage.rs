//! What others have done to the links, addresses and routes of a network.

use std::fmt;

use serde::Serialize;

use crate::link::Links;
use crate::netlink::NetlinkError;
use crate::state::{GuestRecord, NetworkRecord};
use crate::{InterfaceName, names};

/// Something of a network that is not as it was made, and keeps packets from its guests. The JSON form has the same
/// names in camelCase, and the first word as `kind`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
#[non_exhaustive]
pub enum NetworkDamage {
    /// The bridge is gone.
    BridgeMissing,
    /// The bridge is down.
    BridgeDown,
    /// The bridge has not the gateway's address any more.
    GatewayMissing,
    /// The host's end of a guest's interface is not on the bridge.
    LinkOffBridge {
        /// The VM.
        vm: String,
        /// The host's end.
        tap: InterfaceName,
    },
    /// The host's end of a guest's interface is down.
    LinkDown {
        /// The VM.
        vm: String,
        /// The host's end.
        tap: InterfaceName,
    },
    /// A routing rule of another program sends what is for guests by another link, as that of an exit node does.
    AnswersElsewhere {
        /// By which; none for nowhere.
        link: Option<String>,
    },
}

impl NetworkDamage {
    /// All that there is of a network and its guests. Nothing is changed.
    pub(super) fn find(
        record: &NetworkRecord,
        guests: &[GuestRecord],
        links: &mut Links,
    ) -> Result<Vec<Self>, NetlinkError> {
        let all = links.all()?;
        let Some(bridge) = all.iter().find(|link| link.is(&record.bridge)) else {
            return Ok(vec![Self::BridgeMissing]);
        };
        let mut damage = Vec::new();
        let gateway = (record.subnet.gateway(), record.subnet.prefix());
        let has_gateway = links.addresses(bridge.index)?.contains(&gateway);
        if !bridge.up {
            damage.push(Self::BridgeDown);
        }
        if !has_gateway {
            damage.push(Self::GatewayMissing);
        }
        let group = names::link_group(&record.bridge);
        for guest in guests {
            // One that is going has another group, and one that is gone cannot be mended.
            let link = all.iter().find(|link| link.is(&guest.tap) && link.group == group);
            let (vm, tap) = (guest.vm.clone(), guest.tap.clone());
            match link {
                Some(link) if link.master != Some(bridge.index) => {
                    damage.push(Self::LinkOffBridge { vm, tap });
                }
                Some(link) if !link.up => damage.push(Self::LinkDown { vm, tap }),
                Some(_) | None => {}
            }
        }
        if bridge.up
            && has_gateway
            && let Some(guest) = record.subnet.guests().next()
        {
            let way = links.way_to(guest)?;
            if way != Some(bridge.index) {
                let link = all.into_iter().find(|link| Some(link.index) == way);
                damage.push(Self::AnswersElsewhere { link: link.map(|link| link.name) });
            }
        }
        Ok(damage)
    }
}

impl fmt::Display for NetworkDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BridgeMissing => f.write_str("the bridge is gone"),
            Self::BridgeDown => f.write_str("the bridge is down"),
            Self::GatewayMissing => f.write_str("the bridge has not the gateway's address"),
            Self::LinkOffBridge { vm, tap } => {
                write!(f, "the link {tap} of VM {vm} is not on the bridge")
            }
            Self::LinkDown { vm, tap } => write!(f, "the link {tap} of VM {vm} is down"),
            Self::AnswersElsewhere { link } => {
                f.write_str("a routing rule of another program sends what is for guests ")?;
                match link {
                    Some(link) => write!(f, "out by {link}"),
                    None => f.write_str("nowhere"),
                }
            }
        }
    }
}
