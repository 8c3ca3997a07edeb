//! IPv4 routes of the host.

use std::net::Ipv4Addr;

use super::links::Links;
use crate::Subnet;
use crate::netlink::{NetlinkError, Request};

const RTM_GETROUTE: u16 = 26;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
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
}

#[cfg(test)]
mod tests {
    use super::*;

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
