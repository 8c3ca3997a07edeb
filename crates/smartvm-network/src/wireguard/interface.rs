//! The link of a managed interface: what links in general cannot do.

use std::net::{SocketAddr, ToSocketAddrs};

use ipnet::Ipv4Net;

use super::config::WireGuardConfig;
use super::endpoint::Endpoint;
use crate::InterfaceName;
use crate::netlink::{NetlinkError, NetlinkSocket, Protocol, Request};

const RTM_NEWLINK: u16 = 16;
const RTM_SETLINK: u16 = 19;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINKINFO: u16 = 18;
const IFLA_IFALIAS: u16 = 20;
const IFLA_GROUP: u16 = 27;
const INFO_KIND: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const AF_INET: u8 = 2;

/// The kernel's name for links of this kind.
pub(super) const KIND: &str = "wireguard";

/// How long a tunnel's packet may be when nothing is configured: 1500 less 80 for the tunnel's own.
pub(super) const DEFAULT_MTU: u16 = 1420;

/// Changes to the links of WireGuard.
#[derive(Debug)]
pub(super) struct WireGuardLinks {
    socket: NetlinkSocket,
}

impl WireGuardLinks {
    /// Opens those of the namespace that the calling thread is in.
    pub(super) fn open() -> Result<Self, NetlinkError> {
        Ok(Self { socket: NetlinkSocket::open(Protocol::Route)? })
    }

    /// Makes a link, down, which is in the group from the moment it exists.
    pub(super) fn create(&mut self, name: &InterfaceName, group: u32) -> Result<(), NetlinkError> {
        let mut request = Request::new(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &[0; 16]);
        request.attributes().text(IFLA_IFNAME, name.as_str()).u32(IFLA_GROUP, group).nested(
            IFLA_LINKINFO,
            |info| {
                info.text(INFO_KIND, KIND);
            },
        );
        self.socket.request("make WireGuard interface", name.as_str(), &request)
    }

    pub(super) fn set_mtu(&mut self, name: &InterfaceName, mtu: u16) -> Result<(), NetlinkError> {
        let mut request = Request::new(RTM_SETLINK, 0, &[0; 16]);
        request.attributes().text(IFLA_IFNAME, name.as_str()).u32(IFLA_MTU, mtu.into());
        self.socket.request("set the MTU of", name.as_str(), &request)
    }

    pub(super) fn set_alias(
        &mut self,
        name: &InterfaceName,
        alias: &str,
    ) -> Result<(), NetlinkError> {
        let mut request = Request::new(RTM_SETLINK, 0, &[0; 16]);
        request.attributes().text(IFLA_IFNAME, name.as_str()).bytes(IFLA_IFALIAS, alias.as_bytes());
        self.socket.request("write the owner on", name.as_str(), &request)
    }

    pub(super) fn add_address(&mut self, index: u32, address: Ipv4Net) -> Result<(), NetlinkError> {
        let request = address_request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, index, address);
        match self.socket.request("add address", &address.to_string(), &request) {
            Err(error) if error.is(libc::EEXIST) => Ok(()),
            done => done,
        }
    }

    pub(super) fn remove_address(
        &mut self,
        index: u32,
        address: Ipv4Net,
    ) -> Result<(), NetlinkError> {
        let request = address_request(RTM_DELADDR, 0, index, address);
        match self.socket.request("remove address", &address.to_string(), &request) {
            Err(error) if error.is(libc::EADDRNOTAVAIL) => Ok(()),
            done => done,
        }
    }
}

fn address_request(kind: u16, flags: u16, index: u32, address: Ipv4Net) -> Request {
    let [a, b, c, d] = index.to_ne_bytes();
    let header = [AF_INET, address.prefix_len(), 0, 0, a, b, c, d];
    let mut request = Request::new(kind, flags, &header);
    let octets = address.addr().octets();
    request.attributes().bytes(IFA_LOCAL, &octets).bytes(IFA_ADDRESS, &octets);
    request
}

/// Where each peer is. A name is looked up, by the host's own resolver, which may take its time.
pub(super) fn endpoints(
    config: &WireGuardConfig,
) -> Result<Vec<Option<SocketAddr>>, (String, std::io::Error)> {
    let address = |endpoint: &Endpoint| match endpoint {
        Endpoint::Address(address) => Ok(*address),
        Endpoint::Name { host, port } => {
            let failed = |source| (host.clone(), source);
            let mut found = (host.as_str(), *port).to_socket_addrs().map_err(failed)?;
            found.next().ok_or_else(|| failed(std::io::ErrorKind::NotFound.into()))
        }
    };
    config.peers.iter().map(|peer| peer.endpoint.as_ref().map(address).transpose()).collect()
}
