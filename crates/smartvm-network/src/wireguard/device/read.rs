//! What the kernel says of a device.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, SystemTime};

use ipnet::IpNet;

use super::attribute::{
    ALLOWED_ADDRESS, ALLOWED_PREFIX, CMD_GET_DEVICE, DEVICE_FWMARK, DEVICE_IFNAME,
    DEVICE_LISTEN_PORT, DEVICE_PEERS, DEVICE_PUBLIC_KEY, PEER_ALLOWED_IPS, PEER_ENDPOINT,
    PEER_KEEPALIVE, PEER_LAST_HANDSHAKE, PEER_PUBLIC_KEY, PEER_RX_BYTES, PEER_TX_BYTES,
};
use super::family::{HEADER, WireGuardSocket};
use crate::InterfaceName;
use crate::netlink::{Attributes, Message, NetlinkError};
use crate::wireguard::key::PublicKey;

/// Longer than the name of an interface.
const ROOM: usize = 64;

/// A WireGuard device as the kernel has it, but for its secret keys, which are not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::wireguard) struct WireGuardDevice {
    /// The key that peers know the device by; none before it has a private one.
    pub(in crate::wireguard) public_key: Option<PublicKey>,
    /// The UDP port; 0 before the device was up.
    pub(in crate::wireguard) listen_port: u16,
    /// The mark of the tunnel's own packets; 0 for none.
    pub(in crate::wireguard) firewall_mark: u32,
    /// The other ends.
    pub(in crate::wireguard) peers: Vec<PeerStatus>,
}

/// The other end of a tunnel, as the kernel knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::wireguard) struct PeerStatus {
    /// The peer's key, which names it.
    pub(in crate::wireguard) public_key: PublicKey,
    /// Where it was last seen, or was said to be.
    pub(in crate::wireguard) endpoint: Option<SocketAddr>,
    /// When the last handshake was finished. Without one in the last three minutes, nothing passes.
    pub(in crate::wireguard) latest_handshake: Option<SystemTime>,
    /// Bytes received from it, with those of the tunnel's own.
    pub(in crate::wireguard) rx_bytes: u64,
    /// Bytes sent to it, with those of the tunnel's own.
    pub(in crate::wireguard) tx_bytes: u64,
    /// Seconds between packets that keep a way open; 0 for none.
    pub(in crate::wireguard) persistent_keepalive: u16,
    /// Where packets may go to and come from through it.
    pub(in crate::wireguard) allowed_ips: Vec<IpNet>,
}

impl WireGuardSocket {
    /// Reads a device. `ENODEV` when there is none of that name, `EOPNOTSUPP` when it is of another
    /// kind.
    pub(in crate::wireguard) fn device(
        &mut self,
        name: &InterfaceName,
    ) -> Result<WireGuardDevice, NetlinkError> {
        let mut request = self.new_request(CMD_GET_DEVICE, ROOM);
        request.attributes().text(DEVICE_IFNAME, name.as_str());
        let messages = self.socket.dump("read", name.as_str(), &request)?;
        Ok(WireGuardDevice::of(&messages))
    }
}

impl WireGuardDevice {
    /// A device with many peers comes in several messages, and a peer with many addresses too.
    fn of(messages: &[Message]) -> Self {
        let mut device =
            Self { public_key: None, listen_port: 0, firewall_mark: 0, peers: Vec::new() };
        for message in messages {
            device.add(message.attributes(HEADER));
        }
        device
    }

    fn add(&mut self, attributes: Attributes<'_>) {
        for (kind, value) in attributes {
            match kind {
                DEVICE_PUBLIC_KEY => self.public_key = public(value),
                DEVICE_LISTEN_PORT => self.listen_port = u16_of(value),
                DEVICE_FWMARK => {
                    self.firewall_mark = value.try_into().map_or(0, u32::from_ne_bytes);
                }
                DEVICE_PEERS => {
                    for (_, peer) in Attributes::new(value) {
                        self.add_peer(Attributes::new(peer));
                    }
                }
                _ => {}
            }
        }
    }

    fn add_peer(&mut self, attributes: Attributes<'_>) {
        let Some(peer) = PeerStatus::of(attributes) else { return };
        match self.peers.last_mut() {
            Some(last) if last.public_key == peer.public_key => {
                last.allowed_ips.extend(peer.allowed_ips);
            }
            _ => self.peers.push(peer),
        }
    }
}

impl PeerStatus {
    /// None without a key.
    fn of(attributes: Attributes<'_>) -> Option<Self> {
        let mut peer = Self {
            public_key: public(attributes.find(PEER_PUBLIC_KEY)?)?,
            endpoint: None,
            latest_handshake: None,
            rx_bytes: 0,
            tx_bytes: 0,
            persistent_keepalive: 0,
            allowed_ips: Vec::new(),
        };
        for (kind, value) in attributes {
            match kind {
                PEER_ENDPOINT => peer.endpoint = socket_address(value),
                PEER_KEEPALIVE => peer.persistent_keepalive = u16_of(value),
                PEER_LAST_HANDSHAKE => peer.latest_handshake = time(value),
                PEER_RX_BYTES => peer.rx_bytes = u64_of(value),
                PEER_TX_BYTES => peer.tx_bytes = u64_of(value),
                PEER_ALLOWED_IPS => {
                    let list = Attributes::new(value);
                    peer.allowed_ips = list.filter_map(|(_, one)| allowed(one)).collect();
                }
                _ => {}
            }
        }
        Some(peer)
    }
}

fn public(value: &[u8]) -> Option<PublicKey> {
    value.try_into().ok().map(PublicKey::from_bytes)
}

fn u16_of(value: &[u8]) -> u16 {
    value.try_into().map_or(0, u16::from_ne_bytes)
}

fn u64_of(value: &[u8]) -> u64 {
    value.try_into().map_or(0, u64::from_ne_bytes)
}

/// `__kernel_timespec`; zero stands for never.
fn time(value: &[u8]) -> Option<SystemTime> {
    let (seconds, nanoseconds) = value.split_at_checked(8)?;
    let (seconds, nanoseconds) = (u64_of(seconds), u64_of(nanoseconds));
    if (seconds, nanoseconds) == (0, 0) {
        return None;
    }
    let nanoseconds = u32::try_from(nanoseconds).ok().filter(|below| *below < 1_000_000_000)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds))
}

fn socket_address(value: &[u8]) -> Option<SocketAddr> {
    let port = value.get(2..4)?.try_into().map(u16::from_be_bytes).ok()?;
    match (u16_of(value.get(..2)?), value.len()) {
        (2, 16..) => {
            let address: [u8; 4] = value.get(4..8)?.try_into().ok()?;
            Some((Ipv4Addr::from(address), port).into())
        }
        (10, 28..) => {
            let address: [u8; 16] = value.get(8..24)?.try_into().ok()?;
            let scope = value.get(24..28)?.try_into().map(u32::from_ne_bytes).ok()?;
            let address = std::net::SocketAddrV6::new(Ipv6Addr::from(address), port, 0, scope);
            Some(address.into())
        }
        _ => None,
    }
}

fn allowed(value: &[u8]) -> Option<IpNet> {
    let attributes = Attributes::new(value);
    let address = attributes.find(ALLOWED_ADDRESS)?;
    let &[prefix] = attributes.find(ALLOWED_PREFIX)? else { return None };
    let address = match address.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(address).ok()?),
        16 => IpAddr::from(<[u8; 16]>::try_from(address).ok()?),
        _ => return None,
    };
    IpNet::new(address, prefix).ok()
}

#[cfg(test)]
mod tests;
