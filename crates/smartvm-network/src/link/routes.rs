//! IPv4 routes of the host.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::links::Links;
use crate::Subnet;
use crate::netlink::{NetlinkError, Request};

const RTM_GETROUTE: u16 = 26;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_MULTIPATH: u16 = 9;
/// `RTN_UNICAST`.
const UNICAST: u8 = 1;
/// The length of an `rtnexthop`.
const NEXT_HOP: usize = 8;
const AF_INET: u8 = 2;
/// The length of an `rtmsg`.
const HEADER: usize = 12;

/// A route of any table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundRoute {
    /// Where it leads to.
    pub destination: Ipv4Addr,
    /// How many bits of that count; 0 is the default route.
    pub prefix: u8,
    /// The number of the link that it leads through.
    pub link: Option<u32>,
}

impl FoundRoute {
    /// Whether packets for the subnet, or for a part of it, could have gone this way. The default
    /// route does not count: everything may be more special than it.
    #[must_use]
    pub fn meets(&self, subnet: Subnet) -> bool {
        let shorter = self.prefix.min(subnet.prefix());
        if self.prefix == 0 {
            return false;
        }
        let mask = u32::MAX << (32 - u32::from(shorter));
        (self.destination.to_bits() ^ subnet.network().to_bits()) & mask == 0
    }
}

impl Links {
    /// All IPv4 routes.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn routes(&mut self) -> Result<Vec<FoundRoute>, NetlinkError> {
        let mut header = [0; HEADER];
        header[0] = AF_INET;
        let request = Request::new(RTM_GETROUTE, 0, &header);
        let answers = self.socket.dump("list", "routes", &request)?;
        let read = |message: &crate::netlink::Message| {
            let attributes = message.attributes(HEADER);
            let destination: [u8; 4] = match attributes.find(RTA_DST) {
                None => [0; 4],
                Some(bytes) => bytes.try_into().ok()?,
            };
            let prefix = *message.header(HEADER).get(1)?;
            let link = attributes.u32(RTA_OIF);
            Some(FoundRoute { destination: destination.into(), prefix, link })
        };
        Ok(answers.iter().filter_map(read).collect())
    }

    /// The number of the link by which the host sends to an address; none when there is no way.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn way_to(&mut self, address: Ipv4Addr) -> Result<Option<u32>, NetlinkError> {
        let mut header = [0; HEADER];
        (header[0], header[1]) = (AF_INET, 32);
        let mut request = Request::new(RTM_GETROUTE, 0, &header);
        request.attributes().bytes(RTA_DST, &address.octets());
        match self.socket.get("look for the way to", &address.to_string(), &request) {
            Ok(found) => Ok(found.iter().find_map(|it| it.attributes(HEADER).u32(RTA_OIF))),
            Err(error) if error.is(libc::ENETUNREACH) || error.is(libc::EHOSTUNREACH) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The numbers of the links that routes lead out of the host by, those of all tables.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn routed_links(&mut self) -> Result<BTreeSet<u32>, NetlinkError> {
        let mut header = [0; HEADER];
        header[0] = AF_INET;
        let request = Request::new(RTM_GETROUTE, 0, &header);
        let answers = self.socket.dump("list", "routes", &request)?;
        let outward = answers.iter().filter(|it| it.header(HEADER).get(7) == Some(&UNICAST));
        let mut links = BTreeSet::new();
        for message in outward {
            let attributes = message.attributes(HEADER);
            links.extend(attributes.u32(RTA_OIF));
            links.extend(attributes.find(RTA_MULTIPATH).map(hops).unwrap_or_default());
        }
        Ok(links)
    }
}

/// The numbers of the links of a route of several ways.
fn hops(mut bytes: &[u8]) -> Vec<u32> {
    let mut links = Vec::new();
    while let Some(hop) = bytes.first_chunk::<NEXT_HOP>() {
        links.push(u32::from_ne_bytes([hop[4], hop[5], hop[6], hop[7]]));
        let length = usize::from(u16::from_ne_bytes([hop[0], hop[1]])).max(NEXT_HOP);
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_of_several_ways_leads_by_all_their_links() {
        let hop = |length: u16, link: u32| {
            let mut bytes = vec![0; usize::from(length)];
            bytes[..2].copy_from_slice(&length.to_ne_bytes());
            bytes[4..8].copy_from_slice(&link.to_ne_bytes());
            bytes
        };
        assert_eq!(hops(&[hop(16, 3), hop(8, 7)].concat()), [3, 7]);
        // Whatever it says of its length, it ends.
        assert_eq!(hops(&[0; 24]), [0, 0, 0]);
        assert_eq!(hops(&[1, 2, 3]), [0_u32; 0]);
    }

    #[test]
    fn a_route_meets_a_subnet_that_it_is_in_or_holds() {
        let subnet: Subnet = "172.30.0.0/24".parse().unwrap();
        let meets = |text: &str| {
            let (destination, prefix) = text.split_once('/').unwrap();
            let (destination, prefix) = (destination.parse().unwrap(), prefix.parse().unwrap());
            FoundRoute { destination, prefix, link: None }.meets(subnet)
        };
        for route in ["172.30.0.0/24", "172.16.0.0/12", "172.30.0.7/32", "172.30.0.128/25"] {
            assert!(meets(route), "{route}");
        }
        for route in ["0.0.0.0/0", "172.30.1.0/24", "10.0.0.0/8", "127.0.0.1/32", "224.0.0.0/4"] {
            assert!(!meets(route), "{route}");
        }
    }
}
