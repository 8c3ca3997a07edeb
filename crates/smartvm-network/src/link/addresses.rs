//! IPv4 addresses of links.

use std::net::Ipv4Addr;

use super::links::Links;
use crate::netlink::{NetlinkError, Request};
use crate::policy::Cidr;

const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const AF_INET: u8 = 2;
/// The length of an `ifaddrmsg`.
const HEADER: usize = 8;

fn header(prefix: u8, index: u32) -> [u8; HEADER] {
    let [a, b, c, d] = index.to_ne_bytes();
    [AF_INET, prefix, 0, 0, a, b, c, d]
}

impl Links {
    /// Gives a link an address, with the route to its subnet.
    ///
    /// # Errors
    /// What the kernel answers; `EEXIST` when it has it.
    pub fn add_address(
        &mut self,
        index: u32,
        address: Ipv4Addr,
        prefix: u8,
        broadcast: Ipv4Addr,
    ) -> Result<(), NetlinkError> {
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        let mut request = Request::new(RTM_NEWADDR, flags, &header(prefix, index));
        request
            .attributes()
            .bytes(IFA_LOCAL, &address.octets())
            .bytes(IFA_ADDRESS, &address.octets())
            .bytes(IFA_BROADCAST, &broadcast.octets());
        self.socket.request("add address", &format!("{address}/{prefix}"), &request)
    }

    /// The addresses of a link, each with its prefix.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn addresses(&mut self, index: u32) -> Result<Vec<(Ipv4Addr, u8)>, NetlinkError> {
        let all = self.all_addresses()?.into_iter();
        Ok(all
            .filter(|(of, ..)| *of == index)
            .map(|(_, address, prefix)| (address, prefix))
            .collect())
    }

    /// The networks that the host has an address in, but for that of loopback.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn networks(&mut self) -> Result<Vec<Cidr>, NetlinkError> {
        let request = Request::new(RTM_GETADDR, 0, &header(0, 0));
        let answers = self.socket.dump("list", "addresses", &request)?;
        let read = |message: &crate::netlink::Message| {
            let attributes = message.attributes(HEADER);
            // That of the other end, where there is one: the prefix is its.
            let address = attributes.find(IFA_ADDRESS).or_else(|| attributes.find(IFA_LOCAL))?;
            let address = Ipv4Addr::from(<[u8; 4]>::try_from(address).ok()?);
            // Of no bits is everything, of which nobody says so by an address.
            let prefix = *message.header(HEADER).get(1).filter(|it| (1..=32).contains(*it))?;
            (!address.is_loopback()).then(|| Cidr::new(address, prefix))
        };
        Ok(answers.iter().filter_map(read).collect())
    }

    /// All addresses of the host, each with the number of its link and its prefix.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn all_addresses(&mut self) -> Result<Vec<(u32, Ipv4Addr, u8)>, NetlinkError> {
        let request = Request::new(RTM_GETADDR, 0, &header(0, 0));
        let answers = self.socket.dump("list", "addresses", &request)?;
        let read = |message: &crate::netlink::Message| {
            let header = message.header(HEADER);
            let attributes = message.attributes(HEADER);
            let address = attributes.find(IFA_LOCAL).or_else(|| attributes.find(IFA_ADDRESS))?;
            let address: [u8; 4] = address.try_into().ok()?;
            let index = u32::from_ne_bytes(header.get(4..8)?.try_into().ok()?);
            Some((index, Ipv4Addr::from(address), *header.get(1)?))
        };
        Ok(answers.iter().filter_map(read).collect())
    }
}
