//! The requests about links, as values.

use super::links::BridgePort;
use crate::netlink::Request;
use crate::{InterfaceName, MacAddress};

pub(crate) const RTM_NEWLINK: u16 = 16;
pub(crate) const RTM_DELLINK: u16 = 17;
pub(super) const RTM_GETLINK: u16 = 18;
pub(super) const RTM_SETLINK: u16 = 19;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;
/// The length of an `ifinfomsg`.
pub(super) const HEADER: usize = 16;
const IFF_UP: u32 = 1;
const IFF_NOARP: u32 = 0x80;

/// Attributes of links.
pub(super) struct Ifla;

impl Ifla {
    pub(super) const ADDRESS: u16 = 1;
    pub(super) const IFNAME: u16 = 3;
    pub(super) const MTU: u16 = 4;
    pub(super) const MASTER: u16 = 10;
    pub(super) const OPERSTATE: u16 = 16;
    pub(super) const LINKINFO: u16 = 18;
    pub(super) const IFALIAS: u16 = 20;
    pub(super) const GROUP: u16 = 27;
}

pub(super) const INFO_KIND: u16 = 1;
pub(super) const INFO_DATA: u16 = 2;
const INFO_SLAVE_KIND: u16 = 4;
const INFO_SLAVE_DATA: u16 = 5;
const BR_FORWARD_DELAY: u16 = 1;
const BR_STP_STATE: u16 = 5;
const BR_MCAST_SNOOPING: u16 = 23;
const BR_MULTI_BOOLOPT: u16 = 46;
/// `BR_BOOLOPT_NO_LL_LEARN`, as a bit.
const NO_LINK_LOCAL_LEARN: u32 = 1;
const BRPORT_GUARD: u16 = 5;
const BRPORT_LEARNING: u16 = 8;
const BRPORT_UNICAST_FLOOD: u16 = 9;
const BRPORT_ISOLATED: u16 = 33;
const BRPORT_LOCKED: u16 = 39;
/// A link that waits for something outside before it carries packets (RFC 2863).
const IF_OPER_DORMANT: u8 = 5;

/// An `ifinfomsg` for any family, no kind and no number: the link is meant by its name.
fn header(flags: u32, change: u32) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..16].copy_from_slice(&change.to_ne_bytes());
    header
}

fn request(kind: u16, flags: u16, name: &InterfaceName, up: Option<bool>) -> Request {
    match up {
        None => request_with(kind, flags, name, header(0, 0)),
        Some(up) => request_with(kind, flags, name, header(u32::from(up), IFF_UP)),
    }
}

fn request_with(kind: u16, flags: u16, name: &InterfaceName, header: [u8; HEADER]) -> Request {
    let mut request = Request::new(kind, flags, &header);
    request.attributes().text(Ifla::IFNAME, name.as_str());
    request
}

/// Asks for the link with a number.
pub(super) fn get_index(index: u32) -> Request {
    let mut header = header(0, 0);
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    Request::new(RTM_GETLINK, 0, &header)
}

/// A bridge that neither speaks nor heeds spanning tree or multicast groups, learns nothing from frames that
/// no rule sees (those to 01:80:c2:00:00:0X), and is down. Its MTU is not what it will be: the kernel lets it follow the links on the bridge until it is changed once.
pub(super) fn new_bridge(name: &InterfaceName, mac: MacAddress, mtu: u32) -> Request {
    let mut request = request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, name, None);
    let attributes = request.attributes();
    attributes.bytes(Ifla::ADDRESS, &mac.octets()).u32(Ifla::MTU, mtu ^ 1);
    attributes.nested(Ifla::LINKINFO, |info| {
        info.text(INFO_KIND, "bridge").nested(INFO_DATA, |bridge| {
            bridge.u32(BR_FORWARD_DELAY, 0).u32(BR_STP_STATE, 0).u8(BR_MCAST_SNOOPING, 0);
            // The options, and which of them are meant.
            let options = [NO_LINK_LOCAL_LEARN.to_ne_bytes(); 2].concat();
            bridge.bytes(BR_MULTI_BOOLOPT, &options);
        });
    });
    request
}

/// Writes its owner on a bridge, and gives it the MTU that stays.
pub(super) fn own_bridge(name: &InterfaceName, mtu: u32, alias: &str) -> Request {
    let mut request = request(RTM_SETLINK, 0, name, None);
    request.attributes().u32(Ifla::MTU, mtu).bytes(Ifla::IFALIAS, alias.as_bytes());
    request
}

pub(super) fn set_up(name: &InterfaceName, up: bool) -> Request {
    request(RTM_SETLINK, 0, name, Some(up))
}

/// Puts a link that is down on a bridge, into a group, and writes its owner on it.
pub(super) fn join(name: &InterfaceName, port: &BridgePort<'_>) -> Request {
    let mut request = request(RTM_SETLINK, 0, name, None);
    let attributes = request.attributes();
    attributes.bytes(Ifla::ADDRESS, &port.mac.octets());
    if let Some(mtu) = port.mtu {
        attributes.u32(Ifla::MTU, mtu);
    }
    attributes
        .u32(Ifla::GROUP, port.group)
        .bytes(Ifla::IFALIAS, port.alias.as_bytes())
        .u32(Ifla::MASTER, port.bridge)
        .u8(Ifla::OPERSTATE, IF_OPER_DORMANT);
    request
}

/// Puts a link that has been on the bridge on it again. It stays what it was besides: dormant, it would carry nothing, as
/// its other end is open already.
pub(super) fn rejoin(name: &InterfaceName, bridge: u32) -> Request {
    let mut request = request(RTM_SETLINK, 0, name, None);
    request.attributes().u32(Ifla::MASTER, bridge);
    request
}

/// Brings up a link of a bridge, which learns nothing from it; isolated, it reaches no other isolated link.
///
/// The kernel leads frames to 01:80:c2:00:00:0X past the bridge's rules, to the link itself: without ARP there
/// it makes no neighbours of them and answers none. The guard holds a guest off the spanning tree of a bridge
/// of others. The bridge knows who is behind it: what is for another, as for a guest that has just gone, is not
/// flooded to it. Kernels from 5.18 on also drop what comes from another hardware address than is behind the link.
pub(super) fn open_port(name: &InterfaceName, isolated: bool) -> Request {
    let flags = IFF_UP | IFF_NOARP;
    let mut request = request_with(RTM_NEWLINK, 0, name, header(flags, flags));
    request.attributes().nested(Ifla::LINKINFO, |info| {
        info.text(INFO_SLAVE_KIND, "bridge").nested(INFO_SLAVE_DATA, |port| {
            port.u8(BRPORT_ISOLATED, u8::from(isolated))
                .u8(BRPORT_LEARNING, 0)
                .u8(BRPORT_UNICAST_FLOOD, 0)
                .u8(BRPORT_GUARD, 1)
                .u8(BRPORT_LOCKED, 1);
        });
    });
    request
}

pub(super) fn move_to_group(name: &InterfaceName, group: u32) -> Request {
    let mut request = request(RTM_SETLINK, 0, name, None);
    request.attributes().u32(Ifla::GROUP, group);
    request
}

pub(super) fn get(name: &InterfaceName) -> Request {
    request(RTM_GETLINK, 0, name, None)
}

pub(super) fn get_all() -> Request {
    Request::new(RTM_GETLINK, 0, &header(0, 0))
}

pub(super) fn delete(name: &InterfaceName) -> Request {
    request(RTM_DELLINK, 0, name, None)
}

pub(super) fn delete_group(group: u32) -> Request {
    let mut request = Request::new(RTM_DELLINK, 0, &header(0, 0));
    request.attributes().u32(Ifla::GROUP, group);
    request
}
