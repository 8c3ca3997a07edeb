//! What there is of a WireGuard egress, as the kernel tells it.

use std::net::SocketAddr;
use std::time::SystemTime;

use ipnet::IpNet;
use serde::Serialize;

use super::WireGuardEgress;
use crate::link::{FoundLink, Links};
use crate::names;
use crate::netlink::NetlinkError;
use crate::routing::{PolicyRouting, RouteKind, Rule};
use crate::wireguard::device::{PeerStatus, WireGuardDevice, WireGuardSocket};

/// The WireGuard egress of a network, as it is now. The JSON form has the same names in camelCase, and
/// has no secret in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WireGuardReport {
    /// The interface; none when there is no way out.
    pub interface: Option<String>,
    /// Whether we made it.
    pub managed: bool,
    /// Whether it is there, up, and the table leads through it. If not, and it fails closed, nothing
    /// leaves.
    pub ready: bool,
    /// The routing table that decides about what leaves the subnet; none when no rule says so.
    pub route_table: Option<u32>,
    /// Whether what cannot take this way is refused.
    pub fail_closed: bool,
    /// The key that peers know the interface by.
    pub public_key: Option<String>,
    /// Its UDP port.
    pub listen_port: Option<u16>,
    /// The other ends. None at all where the interface is not one of WireGuard.
    pub peers: Vec<WireGuardPeerReport>,
}

/// The other end of a tunnel, as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WireGuardPeerReport {
    /// The peer's key, which names it.
    pub public_key: String,
    /// Where it is.
    pub endpoint: Option<SocketAddr>,
    /// Where packets may go to and come from through it.
    pub allowed_ips: Vec<IpNet>,
    /// When the last handshake was finished, in seconds since 1970; none before the first. Without one in
    /// the last three minutes, nothing passes.
    pub latest_handshake: Option<u64>,
    /// Bytes received from it.
    pub rx_bytes: u64,
    /// Bytes sent to it.
    pub tx_bytes: u64,
    /// Seconds between packets that keep a way open; 0 for none.
    pub persistent_keepalive: u16,
}

pub(super) fn report(egress: &WireGuardEgress) -> Result<Option<WireGuardReport>, NetlinkError> {
    let mut routing = PolicyRouting::open()?;
    let mut links = Links::open()?;
    let rules: Vec<Rule> =
        routing.rules()?.into_iter().filter(|rule| rule.is_from(egress.subnet)).collect();
    let route_table = rules.iter().find_map(Rule::egress_table);
    let leads_to = routing.default_routes()?.iter().find_map(|route| match route.kind {
        RouteKind::Link(link) if Some(route.table) == route_table => Some(link),
        RouteKind::Link(_) | RouteKind::Unreachable | RouteKind::Other(_) => None,
    });
    let link = match leads_to {
        Some(index) => links.all()?.into_iter().find(|link| link.index == index),
        None => {
            let group = links.of_group(names::wireguard_group(&egress.network))?;
            group.into_iter().find(|link| egress.made(link))
        }
    };
    if rules.is_empty() && link.is_none() {
        return Ok(None);
    }
    let device = link.as_ref().and_then(device);
    Ok(Some(WireGuardReport {
        managed: link.as_ref().is_some_and(|link| egress.made(link)),
        ready: leads_to.is_some() && link.as_ref().is_some_and(|link| link.up),
        interface: link.map(|link| link.name),
        route_table,
        fail_closed: rules.iter().any(Rule::is_lock),
        public_key: device.as_ref().and_then(|it| it.public_key).map(|key| key.to_string()),
        listen_port: device.as_ref().map(|it| it.listen_port).filter(|port| *port != 0),
        peers: device.map_or_else(Vec::new, |device| {
            device.peers.into_iter().map(WireGuardPeerReport::from).collect()
        }),
    }))
}

/// The device behind a link; none when it is not one of WireGuard, or has gone.
fn device(link: &FoundLink) -> Option<WireGuardDevice> {
    let name = link.name.parse().ok()?;
    WireGuardSocket::open().ok()?.device(&name).ok()
}

impl From<PeerStatus> for WireGuardPeerReport {
    fn from(peer: PeerStatus) -> Self {
        let seconds = |time: SystemTime| {
            time.duration_since(SystemTime::UNIX_EPOCH).ok().map(|it| it.as_secs())
        };
        Self {
            public_key: peer.public_key.to_string(),
            endpoint: peer.endpoint,
            allowed_ips: peer.allowed_ips,
            latest_handshake: peer.latest_handshake.and_then(seconds),
            rx_bytes: peer.rx_bytes,
            tx_bytes: peer.tx_bytes,
            persistent_keepalive: peer.persistent_keepalive,
        }
    }
}
