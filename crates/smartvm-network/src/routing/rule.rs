//! A rule: which table decides about which packets.

use std::fmt;
use std::net::Ipv4Addr;

use super::PROTOCOL;
use crate::Subnet;
use crate::netlink::{Message, Request};

pub(super) const RTM_NEWRULE: u16 = 32;
pub(super) const RTM_DELRULE: u16 = 33;
pub(super) const RTM_GETRULE: u16 = 34;
/// The length of a `fib_rule_hdr`.
pub(super) const HEADER: usize = 12;

const FRA_DST: u16 = 1;
const FRA_SRC: u16 = 2;
const FRA_PRIORITY: u16 = 6;
const FRA_SUPPRESS_PREFIX: u16 = 14;
const FRA_TABLE: u16 = 15;
const FRA_PROTOCOL: u16 = 21;
const ACTION_LOOKUP: u8 = 1;
const ACTION_UNREACHABLE: u8 = 7;
const AF_INET: u8 = 2;
/// What the kernel reports when nothing is suppressed.
const NOT_SUPPRESSED: u32 = u32::MAX;

/// A rule about the packets of a subnet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Rules are asked in this order, lowest first.
    pub(crate) priority: u32,
    pub(crate) from: Network,
    pub(crate) to: Option<Network>,
    pub(crate) action: Action,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Asks a table.
    Lookup {
        table: u32,
        /// Answers whose prefix is this long or shorter do not count: 0 leaves the default route out.
        suppress: Option<u32>,
    },
    /// Refuses the packet with an ICMP message.
    Unreachable,
}

/// An address and a prefix length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    address: Ipv4Addr,
    prefix: u8,
}

impl Network {
    const EVERYWHERE: Self = Self { address: Ipv4Addr::UNSPECIFIED, prefix: 0 };
}

impl From<Subnet> for Network {
    fn from(subnet: Subnet) -> Self {
        Self { address: subnet.network(), prefix: subnet.prefix() }
    }
}

impl Rule {
    /// The request that adds it (`RTM_NEWRULE`) or removes it (`RTM_DELRULE`). Either names the
    /// protocol, so that only ours can be removed.
    pub(super) fn request(&self, kind: u16, flags: u16) -> Request {
        let mut header = [0; HEADER];
        header[0] = AF_INET;
        header[1] = self.to.map_or(0, |to| to.prefix);
        header[2] = self.from.prefix;
        header[7] = match self.action {
            Action::Lookup { .. } => ACTION_LOOKUP,
            Action::Unreachable => ACTION_UNREACHABLE,
        };
        let mut request = Request::new(kind, flags, &header);
        let attributes = request.attributes();
        attributes.u32(FRA_PRIORITY, self.priority).u8(FRA_PROTOCOL, PROTOCOL);
        if self.from.prefix > 0 {
            attributes.bytes(FRA_SRC, &self.from.address.octets());
        }
        if let Some(to) = self.to {
            attributes.bytes(FRA_DST, &to.address.octets());
        }
        if let Action::Lookup { table, suppress } = self.action {
            attributes.u32(FRA_TABLE, table);
            if let Some(suppress) = suppress {
                attributes.u32(FRA_SUPPRESS_PREFIX, suppress);
            }
        }
        request
    }

    /// Reads a rule of ours; none for others.
    pub(super) fn read(message: &Message) -> Option<Self> {
        let header = message.header(HEADER);
        let attributes = message.attributes(HEADER);
        let (&[PROTOCOL], Some(&AF_INET)) = (attributes.find(FRA_PROTOCOL)?, header.first()) else {
            return None;
        };
        let network = |kind, at: usize| {
            let address: [u8; 4] = attributes.find(kind)?.try_into().ok()?;
            Some(Network { address: address.into(), prefix: *header.get(at)? })
        };
        let action = match *header.get(7)? {
            ACTION_LOOKUP => Action::Lookup {
                table: attributes.u32(FRA_TABLE)?,
                suppress: attributes.u32(FRA_SUPPRESS_PREFIX).filter(|it| *it != NOT_SUPPRESSED),
            },
            ACTION_UNREACHABLE => Action::Unreachable,
            _ => return None,
        };
        Some(Self {
            priority: attributes.u32(FRA_PRIORITY)?,
            from: network(FRA_SRC, 2).unwrap_or(Network::EVERYWHERE),
            to: network(FRA_DST, 1),
            action,
        })
    }

    /// The host's own packets from an address of a tunnel are for the tunnel's table too.
    pub(crate) fn of_address(address: Ipv4Addr, table: u32) -> Self {
        let from = Network { address, prefix: 32 };
        let action = Action::Lookup { table, suppress: None };
        Self { priority: super::plan::EGRESS, from, to: None, action }
    }

    /// Packets to a subnet go by the host's own way to it, whatever the rules of others say of all packets.
    pub(crate) fn to_subnet(subnet: Subnet) -> Self {
        let action = Action::Lookup { table: super::plan::MAIN, suppress: Some(0) };
        let (from, to) = (Network::EVERYWHERE, Some(subnet.into()));
        Self { priority: super::plan::TO_GUESTS, from, to, action }
    }

    /// Whether it is about a single address of the host, and not about a subnet, which has four or more.
    pub(crate) fn is_of_address(&self) -> bool {
        self.from.prefix == 32
    }

    /// Whether it is about packets of the subnet.
    pub(crate) fn is_from(&self, subnet: Subnet) -> bool {
        self.from == subnet.into()
    }

    /// Whether it refuses.
    pub(crate) fn is_lock(&self) -> bool {
        self.action == Action::Unreachable
    }

    /// The table that decides about all that leaves the subnet, if it is the rule that says so.
    pub(crate) fn egress_table(&self) -> Option<u32> {
        match self.action {
            Action::Lookup { table, suppress: None } if self.to.is_none() => Some(table),
            Action::Lookup { .. } | Action::Unreachable => None,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl fmt::Display for Rule {
    /// In the form of `ip rule`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: from {}", self.priority, self.from)?;
        if let Some(to) = self.to {
            write!(f, " to {to}")?;
        }
        match self.action {
            Action::Lookup { table: super::plan::MAIN, .. } => write!(f, " lookup main")?,
            Action::Lookup { table, .. } => write!(f, " lookup {table}")?,
            Action::Unreachable => write!(f, " unreachable")?,
        }
        if let Action::Lookup { suppress: Some(prefix), .. } = self.action {
            write!(f, " suppress_prefixlength {prefix}")?;
        }
        write!(f, " proto {PROTOCOL}")
    }
}
