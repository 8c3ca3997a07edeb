//! A default route of a table.

use super::PROTOCOL;
use crate::netlink::{Message, Request};

pub(super) const RTM_NEWROUTE: u16 = 24;
pub(super) const RTM_DELROUTE: u16 = 25;
pub(super) const RTM_GETROUTE: u16 = 26;
/// The length of an `rtmsg`.
pub(super) const HEADER: usize = 12;

const RTA_OIF: u16 = 4;
const RTA_PRIORITY: u16 = 6;
const RTA_TABLE: u16 = 15;
const TYPE_UNICAST: u8 = 1;
const TYPE_UNREACHABLE: u8 = 7;
const SCOPE_UNIVERSE: u8 = 0;
const SCOPE_LINK: u8 = 253;
const AF_INET: u8 = 2;

/// A route that leads everywhere, in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) table: u32,
    pub(crate) kind: RouteKind,
    /// Of several routes, the one with the lowest is taken.
    pub(crate) metric: u32,
    pub(crate) protocol: u8,
}

/// Where a route leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RouteKind {
    /// Through the link of that number.
    Link(u32),
    /// Nowhere: the packet is refused with an ICMP message.
    Unreachable,
    /// Some other way: several links, none, or one that is not said.
    Other(u8),
}

impl Route {
    /// The way through a link.
    pub(crate) fn through(table: u32, link: u32) -> Self {
        Self { table, kind: RouteKind::Link(link), metric: 0, protocol: PROTOCOL }
    }

    /// What remains when that is gone: no way.
    pub(crate) fn lock(table: u32) -> Self {
        Self { table, kind: RouteKind::Unreachable, metric: u32::MAX, protocol: PROTOCOL }
    }

    pub(crate) fn is_ours(&self) -> bool {
        self.protocol == PROTOCOL
    }

    pub(super) fn request(&self, kind: u16, flags: u16) -> Request {
        let (kind_of_route, scope) = match self.kind {
            RouteKind::Link(_) => (TYPE_UNICAST, SCOPE_LINK),
            RouteKind::Unreachable => (TYPE_UNREACHABLE, SCOPE_UNIVERSE),
            RouteKind::Other(kind) => (kind, SCOPE_UNIVERSE),
        };
        // The table's number does not fit the header's byte; the attribute has it.
        let header = [AF_INET, 0, 0, 0, 0, self.protocol, scope, kind_of_route, 0, 0, 0, 0];
        let mut request = Request::new(kind, flags, &header);
        let attributes = request.attributes();
        attributes.u32(RTA_TABLE, self.table).u32(RTA_PRIORITY, self.metric);
        if let RouteKind::Link(link) = self.kind {
            attributes.u32(RTA_OIF, link);
        }
        request
    }

    /// Reads a default route; none for others.
    pub(super) fn read(message: &Message) -> Option<Self> {
        let header = message.header(HEADER);
        let &[AF_INET, 0, _, _, table, protocol, _, kind, ..] = header else { return None };
        let attributes = message.attributes(HEADER);
        let kind = match (kind, attributes.u32(RTA_OIF)) {
            (TYPE_UNICAST, Some(link)) => RouteKind::Link(link),
            (TYPE_UNREACHABLE, _) => RouteKind::Unreachable,
            (other, _) => RouteKind::Other(other),
        };
        Some(Self {
            table: attributes.u32(RTA_TABLE).unwrap_or_else(|| table.into()),
            kind,
            metric: attributes.u32(RTA_PRIORITY).unwrap_or(0),
            protocol,
        })
    }
}
