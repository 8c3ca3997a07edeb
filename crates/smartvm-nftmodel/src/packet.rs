//! A packet on its way through the host.

use std::net::{Ipv4Addr, Ipv6Addr};

use smartvm_network::nft::{Family, Field};

/// A link of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Its group; 0 is every link's that was put in none.
    pub group: u32,
}

impl Link {
    /// A link that is in no group.
    #[must_use]
    pub fn plain(name: &str) -> Self {
        Self { name: name.to_owned(), group: 0 }
    }
}

/// A packet on its way through the host: its bytes, and what the kernel knows of it besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// The frame, or what stands for one where the packet never was in a frame.
    pub frame: Vec<u8>,
    /// The link that it came in by.
    pub link_in: Option<Link>,
    /// The link that it goes out by, once it is known.
    pub link_out: Option<Link>,
    /// Whether it belongs to a connection that exists.
    pub established: bool,
    /// Whether the destination of its connection was changed.
    pub destination_changed: bool,
    /// Whether its sender exceeds its bounds, if it begins a connection.
    pub over_bounds: bool,
    /// Whether its destination is an address of the host.
    pub to_host: bool,
    /// Whether its source was hidden behind the host's address.
    pub masqueraded: bool,
}

/// Where the header of the network begins.
const NETWORK: usize = 14;

impl Packet {
    /// The ether type of IPv4.
    pub const IPV4: u16 = 0x0800;
    /// The ether type of IPv6.
    pub const IPV6: u16 = 0x86dd;

    /// What the frame says that it holds.
    #[must_use]
    pub fn ether_type(&self) -> u16 {
        u16::from_be_bytes([self.frame[12], self.frame[13]])
    }

    /// Whether it is IPv4.
    #[must_use]
    pub fn is_ipv4(&self) -> bool {
        self.ether_type() == Self::IPV4
    }

    /// Its IPv4 destination, if it has one.
    #[must_use]
    pub fn destination(&self) -> Option<Ipv4Addr> {
        let bytes = self.network(16, 4).filter(|_| self.is_ipv4())?;
        Some(<[u8; 4]>::try_from(bytes).expect("four were asked for").into())
    }

    /// Its IPv6 destination, if it has one.
    #[must_use]
    pub fn destination_ipv6(&self) -> Option<Ipv6Addr> {
        let bytes = self.network(24, 16).filter(|_| self.ether_type() == Self::IPV6)?;
        Some(<[u8; 16]>::try_from(bytes).expect("sixteen were asked for").into())
    }

    /// Gives it another destination.
    pub(crate) fn redirect(&mut self, address: [u8; 4], port: [u8; 2]) {
        let transport = self.transport_start();
        self.frame[NETWORK + 16..NETWORK + 20].copy_from_slice(&address);
        self.frame[transport + 2..transport + 4].copy_from_slice(&port);
        self.destination_changed = true;
    }

    /// Bytes of the link's header.
    pub(crate) fn ether(&self, offset: usize, length: usize) -> Option<&[u8]> {
        self.frame.get(offset..offset + length)
    }

    /// Bytes of the network's header.
    pub(crate) fn network(&self, offset: usize, length: usize) -> Option<&[u8]> {
        self.frame.get(NETWORK + offset..NETWORK + offset + length)
    }

    /// Bytes of what follows that, which the kernel finds for IP only.
    pub(crate) fn transport(&self, offset: usize, length: usize) -> Option<&[u8]> {
        self.protocol()?;
        let start = self.transport_start() + offset;
        self.frame.get(start..start + length)
    }

    /// The protocol above IP.
    pub(crate) fn protocol(&self) -> Option<u8> {
        match self.ether_type() {
            Self::IPV4 => self.network(9, 1).map(|it| it[0]),
            Self::IPV6 => self.network(6, 1).map(|it| it[0]),
            _ => None,
        }
    }

    fn transport_start(&self) -> usize {
        if self.is_ipv4() {
            NETWORK + usize::from(self.frame[NETWORK] & 0xf) * 4
        } else {
            NETWORK + 40
        }
    }

    /// A key of a set, each field padded to four bytes when there are several; none when the packet
    /// has not what is asked for.
    pub(crate) fn key(&self, family: Family, fields: &[Field]) -> Option<Vec<u8>> {
        if family == Family::Inet && fields.iter().any(needs_ipv4) && !self.is_ipv4() {
            return None;
        }
        let mut key = Vec::new();
        for field in fields {
            match field {
                Field::InterfaceIn | Field::InterfaceOut => {
                    let start = key.len();
                    let inward = *field == Field::InterfaceIn;
                    let link = if inward { &self.link_in } else { &self.link_out };
                    key.extend(link.iter().flat_map(|link| link.name.bytes()));
                    key.resize(start + 16, 0);
                }
                Field::EtherSource => key.extend(self.ether(6, 6)?),
                Field::IpSource => key.extend(self.network(12, 4)?),
                Field::IpDestination => key.extend(self.network(16, 4)?),
                Field::ArpSenderMac => key.extend(self.network(8, 6)?),
                Field::ArpSenderIp => key.extend(self.network(14, 4)?),
                Field::Protocol => key.push(self.protocol()?),
                Field::DestinationPort => key.extend(self.transport(2, 2)?),
            }
            if fields.len() > 1 {
                key.resize(key.len().next_multiple_of(4), 0);
            }
        }
        Some(key)
    }
}

const fn needs_ipv4(field: &Field) -> bool {
    matches!(field, Field::IpSource | Field::IpDestination)
}
