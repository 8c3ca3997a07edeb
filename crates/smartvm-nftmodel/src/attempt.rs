//! What somebody tries to send.

use std::net::{Ipv4Addr, Ipv6Addr};

use smartvm_network::names;

use crate::checksum::{finish_ipv4, finish_transport};
use crate::{Packet, Scene};

/// One packet that somebody tries to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Who, and by which way.
    pub way: Way,
    /// What.
    pub content: Content,
    /// Whether it belongs to a connection that exists.
    pub established: bool,
    /// Whether the destination of its connection was changed by somebody else's rules.
    pub destination_changed: bool,
    /// Whether its sender has begun more connections than it may, if this packet begins one.
    pub over_bounds: bool,
    /// What tells it from others: in the payload.
    pub mark: u32,
}

/// Who sends, and by which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// A guest, by its TAP.
    Guest {
        /// Which.
        guest: usize,
        /// The hardware address that it says it has.
        mac: [u8; 6],
        /// To whom on the bridge.
        to: Target,
    },
    /// A guest whose TAP is on no bridge.
    Unbridged(usize),
    /// Another link of the bridge, to a guest there.
    Lan(usize),
    /// Somebody beyond the host.
    Beyond,
    /// The host, as its routes say.
    Host,
    /// The host, by the TAP itself, past the bridge.
    HostByTap(usize),
}

/// To whom on the bridge a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// To the host.
    Host,
    /// To a guest.
    Guest(usize),
    /// To another link.
    Lan,
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each names what it holds")]
pub enum Content {
    /// An IPv4 packet.
    Ipv4 { source: Ipv4Addr, destination: Ipv4Addr, protocol: Protocol },
    /// An IPv6 packet.
    Ipv6 { source: Ipv6Addr, destination: Ipv6Addr },
    /// ARP: who says to have which address.
    Arp { mac: [u8; 6], address: Ipv4Addr },
    /// Something else, by its ether type.
    Other(u16),
}

/// What an IPv4 packet holds; the first port is the source's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// TCP, the first packet.
    Tcp(u16, u16),
    /// UDP.
    Udp(u16, u16),
    /// An ICMP echo.
    Icmp,
    /// Another, by its number.
    Other(u8),
}

impl Protocol {
    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp(..) => 6,
            Self::Udp(..) => 17,
            Self::Icmp => 1,
            Self::Other(number) => number,
        }
    }

    /// What follows the header of IP.
    fn bytes(self, mark: u32) -> Vec<u8> {
        let ports = |source: u16, destination: u16| {
            [source.to_be_bytes(), destination.to_be_bytes()].concat()
        };
        let mark = mark.to_be_bytes();
        match self {
            // Number, acknowledgement, header of 20 bytes, SYN, window.
            Self::Tcp(source, destination) => {
                [&ports(source, destination)[..], &mark, &[0; 4], &[0x50, 2, 4, 0, 0, 0, 0, 0]]
                    .concat()
            }
            Self::Udp(source, destination) => {
                [&ports(source, destination)[..], &[0, 12, 0, 0], &mark].concat()
            }
            // An echo, with an identification of its own.
            Self::Icmp => [&[8, 0, 0, 0, mark[2], mark[3], 0, 1][..], &mark].concat(),
            Self::Other(_) => [&[0, 0, 8, 0][..], &mark].concat(),
        }
    }
}

impl Attempt {
    /// The frame that it is.
    #[must_use]
    pub fn frame(&self, scene: &Scene) -> Vec<u8> {
        let bridge = names::bridge_mac(&scene.network.network).octets();
        let (from, to) = match self.way {
            Way::Guest { mac, to, .. } => {
                let to = match to {
                    Target::Host => bridge,
                    Target::Guest(guest) => scene.guests[guest].mac.octets(),
                    Target::Lan => [2, 0xaa, 0, 0, 0, 1],
                };
                (mac, to)
            }
            Way::Unbridged(guest) => (scene.guests[guest].mac.octets(), bridge),
            Way::Lan(guest) => ([2, 0xaa, 0, 0, 0, 1], scene.guests[guest].mac.octets()),
            Way::Beyond | Way::Host | Way::HostByTap(_) => ([2, 0xbb, 0, 0, 0, 1], bridge),
        };
        let (kind, content) = match self.content {
            Content::Ipv4 { source, destination, protocol } => {
                (Packet::IPV4, self.ipv4(source, destination, protocol))
            }
            Content::Ipv6 { source, destination } => {
                // No next header, and its hops.
                let head = [0x60, 0, 0, 0, 0, 0, 59, 64];
                (Packet::IPV6, [&head[..], &source.octets(), &destination.octets()].concat())
            }
            Content::Arp { mac, address } => {
                let head = [0, 1, 8, 0, 6, 4, 0, 2];
                let target = scene.network.subnet.gateway().octets();
                (0x0806, [&head[..], &mac, &address.octets(), &bridge, &target].concat())
            }
            Content::Other(kind) => (kind, self.mark.to_be_bytes().repeat(12)),
        };
        [&to[..], &from, &kind.to_be_bytes(), &content].concat()
    }

    fn ipv4(&self, source: Ipv4Addr, destination: Ipv4Addr, protocol: Protocol) -> Vec<u8> {
        let mut content = protocol.bytes(self.mark);
        finish_transport(source, destination, protocol.number(), &mut content);
        let length = u16::try_from(20 + content.len()).expect("it is short").to_be_bytes();
        let mut header =
            vec![0x45, 0, length[0], length[1], 0, 1, 0, 0, 64, protocol.number(), 0, 0];
        header.extend(source.octets());
        header.extend(destination.octets());
        finish_ipv4(&mut header);
        header.extend(content);
        header
    }
}
