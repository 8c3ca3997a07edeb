//! Handing a configuration to the kernel.

use std::net::SocketAddr;

use super::attribute::{
    ALLOWED_ADDRESS, ALLOWED_FAMILY, ALLOWED_PREFIX, CMD_SET_DEVICE, DEVICE_FLAGS, DEVICE_FWMARK,
    DEVICE_IFNAME, DEVICE_LISTEN_PORT, DEVICE_PEERS, DEVICE_PRIVATE_KEY, DEVICE_REPLACE_PEERS,
    PEER_ALLOWED_IPS, PEER_ENDPOINT, PEER_FLAGS, PEER_KEEPALIVE, PEER_PRESHARED_KEY,
    PEER_PUBLIC_KEY, PEER_REPLACE_ALLOWED_IPS,
};
use super::family::WireGuardSocket;
use crate::InterfaceName;
use crate::netlink::{AttributeWriter, NetlinkError};
use crate::wireguard::config::{PeerConfig, WireGuardConfig};

/// How many allowed addresses go into one message; each takes 28 bytes, and an attribute has at most
/// 65,535.
const ALLOWED_IPS: usize = 1024;

/// Longer than all else in a message.
const ROOM: usize = 1024 + ALLOWED_IPS * 32;

/// No key: the kernel takes zeros for that.
const NO_KEY: [u8; 32] = [0; 32];

/// A piece of the configuration, small enough for one message.
#[derive(Debug, PartialEq, Eq)]
struct PeerPart<'a> {
    peer: &'a PeerConfig,
    endpoint: Option<SocketAddr>,
    allowed_ips: &'a [ipnet::Ipv4Net],
    /// Later parts of a peer only add addresses.
    first: bool,
}

impl WireGuardSocket {
    /// Makes the device as the configuration says. Peers that are not in it go.
    ///
    /// `endpoints` has one entry a peer: where it is, if that is known.
    pub(in crate::wireguard) fn configure(
        &mut self,
        name: &InterfaceName,
        config: &WireGuardConfig,
        endpoints: &[Option<SocketAddr>],
    ) -> Result<(), NetlinkError> {
        let mut request = self.new_request(CMD_SET_DEVICE, ROOM);
        request
            .attributes()
            .text(DEVICE_IFNAME, name.as_str())
            .bytes(DEVICE_PRIVATE_KEY, config.private_key.expose())
            .u16(DEVICE_LISTEN_PORT, config.listen_port.unwrap_or_default())
            .u32(DEVICE_FWMARK, config.firewall_mark.unwrap_or_default())
            .u32(DEVICE_FLAGS, DEVICE_REPLACE_PEERS);
        self.socket.request("set the keys of", name.as_str(), &request)?;
        for part in parts(config, endpoints) {
            let mut request = self.new_request(CMD_SET_DEVICE, ROOM);
            request.attributes().text(DEVICE_IFNAME, name.as_str()).nested(DEVICE_PEERS, |peers| {
                peers.nested(0, |peer| part.write(peer));
            });
            self.socket.request("add a peer to", name.as_str(), &request)?;
        }
        Ok(())
    }
}

fn parts<'a>(
    config: &'a WireGuardConfig,
    endpoints: &'a [Option<SocketAddr>],
) -> impl Iterator<Item = PeerPart<'a>> {
    let endpoints = endpoints.iter().copied().chain(std::iter::repeat(None));
    config.peers.iter().zip(endpoints).flat_map(|(peer, endpoint)| {
        let part = move |first, allowed_ips| PeerPart { peer, endpoint, allowed_ips, first };
        let (head, rest) = peer.allowed_ips.split_at(peer.allowed_ips.len().min(ALLOWED_IPS));
        let rest = rest.chunks(ALLOWED_IPS).map(move |chunk| part(false, chunk));
        std::iter::once(part(true, head)).chain(rest)
    })
}

impl PeerPart<'_> {
    fn write(&self, out: &mut AttributeWriter) {
        out.bytes(PEER_PUBLIC_KEY, self.peer.public_key.as_bytes());
        if self.first {
            let shared = self.peer.preshared_key.as_ref().map_or(&NO_KEY, |key| key.expose());
            out.bytes(PEER_PRESHARED_KEY, shared)
                .u32(PEER_FLAGS, PEER_REPLACE_ALLOWED_IPS)
                .u16(PEER_KEEPALIVE, self.peer.persistent_keepalive.unwrap_or_default());
            if let Some(endpoint) = self.endpoint {
                out.bytes(PEER_ENDPOINT, &socket_address(endpoint));
            }
        }
        out.nested(PEER_ALLOWED_IPS, |list| {
            for allowed in self.allowed_ips {
                list.nested(0, |one| {
                    one.u16(ALLOWED_FAMILY, AF_INET)
                        .bytes(ALLOWED_ADDRESS, &allowed.addr().octets())
                        .u8(ALLOWED_PREFIX, allowed.prefix_len());
                });
            }
        });
    }
}

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// `sockaddr_in` or `sockaddr_in6`.
fn socket_address(address: SocketAddr) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(28);
    match address {
        SocketAddr::V4(address) => {
            bytes.extend_from_slice(&AF_INET.to_ne_bytes());
            bytes.extend_from_slice(&address.port().to_be_bytes());
            bytes.extend_from_slice(&address.ip().octets());
            bytes.extend_from_slice(&[0; 8]);
        }
        SocketAddr::V6(address) => {
            bytes.extend_from_slice(&AF_INET6.to_ne_bytes());
            bytes.extend_from_slice(&address.port().to_be_bytes());
            bytes.extend_from_slice(&address.flowinfo().to_be_bytes());
            bytes.extend_from_slice(&address.ip().octets());
            bytes.extend_from_slice(&address.scope_id().to_ne_bytes());
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: &str = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";

    fn config(allowed: usize) -> WireGuardConfig {
        let mut text = format!(
            "[Interface]\nPrivateKey=yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\nAddress=10.0.0.2\n\
             [Peer]\nPublicKey={PUBLIC}\n"
        );
        for number in 0..u32::try_from(allowed).unwrap() {
            let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + number);
            text.push_str(&format!("AllowedIPs={address}\n"));
        }
        WireGuardConfig::parse(&text).unwrap()
    }

    #[test]
    fn many_allowed_addresses_are_divided_among_messages_that_fit() {
        for (allowed, messages) in [(0, 1), (1, 1), (1024, 1), (1025, 2), (5000, 5)] {
            let config = config(allowed);
            let parts: Vec<_> = parts(&config, &[]).collect();
            assert_eq!(parts.len(), messages, "{allowed}");
            assert_eq!(parts.iter().map(|part| part.allowed_ips.len()).sum::<usize>(), allowed);
            for (index, part) in parts.iter().enumerate() {
                assert_eq!(part.first, index == 0);
                let mut bytes = AttributeWriter::default();
                part.write(&mut bytes);
                assert!(bytes.as_bytes().len() <= ROOM - 512, "{}", bytes.as_bytes().len());
            }
        }
    }

    #[test]
    fn an_address_has_the_form_of_the_kernel() {
        assert_eq!(
            socket_address("203.0.113.10:51820".parse().unwrap()),
            [2, 0, 0xca, 0x6c, 203, 0, 113, 10, 0, 0, 0, 0, 0, 0, 0, 0]
        );
        let six = socket_address("[2001:db8::1]:443".parse().unwrap());
        assert_eq!(
            (six.len(), &six[..4], &six[8..12]),
            (28, &[10, 0, 1, 0xbb][..], &[0x20, 1, 0xd, 0xb8][..])
        );
    }
}
