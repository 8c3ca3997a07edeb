//! Connections that the kernel tracks, and ending them.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use crate::netlink::{Attributes, Message, NetlinkError, NetlinkSocket, Protocol, Request};
use crate::policy::{Flow, FlowProtocol};

/// Messages of connection tracking; the subsystem is in the upper byte.
const GET: u16 = (1 << 8) | 1;
const DELETE: u16 = (1 << 8) | 2;
const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const ID: u16 = 12;
const ZONE: u16 = 18;
const FILTER: u16 = 25;
const FILTER_ORIGINAL: u16 = 1;
const FILTER_REPLY: u16 = 2;
/// `CTA_FILTER_F_CTA_IP_SRC`.
const FILTER_BY_SOURCE: u32 = 1;
const TUPLE_IP: u16 = 1;
const TUPLE_PROTOCOL: u16 = 2;
const IP_SOURCE: u16 = 1;
const IP_DESTINATION: u16 = 2;
const PROTOCOL_NUMBER: u16 = 1;
const PROTOCOL_SOURCE_PORT: u16 = 2;
const PROTOCOL_DESTINATION_PORT: u16 = 3;
/// `nfgenmsg` of IPv4.
const HEADER: [u8; 4] = [2, 0, 0, 0];

/// Whose connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Those that the address began.
    From,
    /// Those that others began to it.
    To,
}

/// Where a connection leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Connection {
    /// As who began it said.
    pub(crate) wanted: Flow,
    /// Where its packets go to, which is another when it was led elsewhere.
    pub(crate) reached: Flow,
}

/// The connections of one network namespace.
#[derive(Debug)]
pub(crate) struct Connections {
    socket: NetlinkSocket,
}

impl Connections {
    pub(crate) fn open() -> Result<Self, NetlinkError> {
        Ok(Self { socket: NetlinkSocket::open(Protocol::Netfilter)? })
    }

    /// Ends the connections of an address that `keep` does not want; returns how many.
    ///
    /// An ended connection's next packet counts as a new connection's.
    pub(crate) fn cut(
        &mut self,
        address: Ipv4Addr,
        side: Side,
        keep: impl Fn(Connection) -> bool,
    ) -> Result<usize, NetlinkError> {
        if are_none() {
            return Ok(0);
        }
        let mut cut = 0;
        for message in self.of(address, side)? {
            let attributes = message.attributes(HEADER.len());
            let Some((source, wanted)) = read(attributes.within(ORIGINAL)) else { continue };
            let Some(reached) = answered_from(attributes.within(REPLY)) else { continue };
            let of_address = match side {
                Side::From => source == address,
                Side::To => reached.to == address,
            };
            let connection = Connection { wanted, reached };
            if of_address && !keep(connection) && self.delete(attributes)? {
                cut += 1;
            }
        }
        Ok(cut)
    }

    /// Ends all connections from and to any of these addresses, with one look at all there are.
    pub(crate) fn cut_all(&mut self, addresses: &[Ipv4Addr]) -> Result<(), NetlinkError> {
        if let [address] = addresses {
            self.cut(*address, Side::From, |_| false)?;
            return self.cut(*address, Side::To, |_| false).map(drop);
        }
        if addresses.is_empty() || are_none() {
            return Ok(());
        }
        let addresses: BTreeSet<_> = addresses.iter().collect();
        let all = Request::new(GET, 0, &HEADER);
        for message in self.socket.dump("list connections of", "guests", &all)? {
            let attributes = message.attributes(HEADER.len());
            let is_theirs = [ORIGINAL, REPLY].into_iter().any(|tuple| {
                read(attributes.within(tuple))
                    .is_some_and(|(source, _)| addresses.contains(&source))
            });
            if is_theirs {
                self.delete(attributes)?;
            }
        }
        Ok(())
    }

    /// Asks the kernel for the connections of an address; one that knows no filter says all.
    fn of(&mut self, address: Ipv4Addr, side: Side) -> Result<Vec<Message>, NetlinkError> {
        let (tuple, flags) = match side {
            Side::From => (ORIGINAL, FILTER_ORIGINAL),
            Side::To => (REPLY, FILTER_REPLY),
        };
        let mut request = Request::new(GET, 0, &HEADER);
        request
            .attributes()
            .nested(tuple, |it| {
                it.nested(TUPLE_IP, |it| {
                    it.bytes(IP_SOURCE, &address.octets());
                });
            })
            .nested(FILTER, |it| {
                // In the host's order, unlike the rest.
                it.u32(flags, FILTER_BY_SOURCE);
            });
        match self.socket.dump("list connections of", &address.to_string(), &request) {
            Err(error) if error.is(libc::EOPNOTSUPP) || error.is(libc::EINVAL) => {
                let all = Request::new(GET, 0, &HEADER);
                self.socket.dump("list connections of", &address.to_string(), &all)
            }
            listed => listed,
        }
    }

    fn delete(&mut self, found: Attributes<'_>) -> Result<bool, NetlinkError> {
        let mut request = Request::new(DELETE, 0, &HEADER);
        for kind in [ORIGINAL, ID, ZONE] {
            if let Some(value) = found.find(kind) {
                let attributes = request.attributes();
                if kind == ORIGINAL {
                    attributes.nested(kind, |it| copy(value, it));
                } else {
                    attributes.bytes(kind, value);
                }
            }
        }
        match self.socket.request("end a connection of", "a guest", &request) {
            Ok(()) => Ok(true),
            // It has ended by itself.
            Err(error) if error.is(libc::ENOENT) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Whether the namespace of this thread has no connections at all. The kernel looks through the
/// tables of the whole host for a list of them, which takes it milliseconds.
fn are_none() -> bool {
    let count = fs_err::read_to_string("/proc/sys/net/netfilter/nf_conntrack_count");
    count.is_ok_and(|count| count.trim() == "0")
}

/// Copies a tuple, which holds addresses and a protocol, each a nest of plain values.
fn copy(tuple: &[u8], to: &mut crate::netlink::AttributeWriter) {
    for (kind, part) in Attributes::new(tuple) {
        if matches!(kind, TUPLE_IP | TUPLE_PROTOCOL) {
            to.nested(kind, |to| {
                for (kind, value) in Attributes::new(part) {
                    to.bytes(kind, value);
                }
            });
        } else {
            to.bytes(kind, part);
        }
    }
}

/// The source of a tuple, and where it leads to.
fn read(tuple: Attributes<'_>) -> Option<(Ipv4Addr, Flow)> {
    let source = end(tuple, IP_SOURCE, PROTOCOL_SOURCE_PORT)?.to;
    Some((source, end(tuple, IP_DESTINATION, PROTOCOL_DESTINATION_PORT)?))
}

/// Where the answers of a tuple come from: there the connection leads to.
fn answered_from(tuple: Attributes<'_>) -> Option<Flow> {
    end(tuple, IP_SOURCE, PROTOCOL_SOURCE_PORT)
}

/// One end of a tuple.
fn end(tuple: Attributes<'_>, address: u16, port: u16) -> Option<Flow> {
    let to: [u8; 4] = tuple.within(TUPLE_IP).find(address)?.try_into().ok()?;
    let protocol = tuple.within(TUPLE_PROTOCOL);
    let port = protocol.find(port);
    let port = port.and_then(|port| port.try_into().ok()).map_or(0, u16::from_be_bytes);
    let protocol = match *protocol.find(PROTOCOL_NUMBER)?.first()? {
        1 => FlowProtocol::Icmp,
        6 => FlowProtocol::Tcp(port),
        17 => FlowProtocol::Udp(port),
        other => FlowProtocol::Other(other),
    };
    Some(Flow { to: to.into(), protocol })
}
