//! Tables, chains, sets and rules, as values.

use std::collections::BTreeSet;

use super::elements::Element;
use super::field::Field;
use crate::InterfaceName;
use crate::policy::Cidr;

/// Everything that is ours in nftables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ruleset {
    /// The tables.
    pub tables: Vec<Table>,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Which packets it sees.
    pub family: Family,
    /// Its name.
    pub name: String,
    /// Its sets and maps.
    pub sets: Vec<Set>,
    /// Its chains.
    pub chains: Vec<Chain>,
}

/// Which packets a table sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4 and IPv6 packets.
    Inet,
    /// Frames that pass a bridge.
    Bridge,
}

/// A set, or with data a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// Its name.
    pub name: String,
    /// What a key is made of.
    pub key: Vec<Field>,
    /// What keys lead to.
    pub data: SetData,
    /// What it holds.
    pub elements: Vec<Element>,
}

/// What the keys of a set lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetData {
    /// Nothing.
    None,
    /// A chain.
    Verdict,
    /// An address and a port.
    Target,
    /// Nothing; packets fill it, each key with the rate of its own, and are forgotten after a minute.
    Rates,
    /// Nothing; packets fill it, each key with the connections of its own, and are forgotten with the last.
    Connections,
}

impl SetData {
    /// Whether packets fill the set, not we.
    #[must_use]
    pub const fn is_filled_by_packets(self) -> bool {
        matches!(self, Self::Rates | Self::Connections)
    }
}

/// A chain of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Its name.
    pub name: String,
    /// Where packets enter it, unless by other chains only. What reaches its end is accepted.
    pub base: Option<Base>,
    /// Its rules, in order.
    pub rules: Vec<Rule>,
}

/// Where packets enter a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Base {
    /// What may be done there.
    pub kind: ChainKind,
    /// When.
    pub hook: Hook,
    /// Before whom: lower is earlier.
    pub priority: i32,
}

/// What a chain may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainKind {
    /// Accept and drop.
    Filter,
    /// Change addresses, for the first packet of a connection.
    Nat,
}

/// When packets enter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// Before it is known where to.
    Prerouting,
    /// To the host.
    Input,
    /// Through the host.
    Forward,
    /// From the host.
    Output,
    /// After it is known where to.
    Postrouting,
}

/// A rule: what all its matches hold for is counted, and the action done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Which packets.
    pub matches: Vec<Match>,
    /// Whether packets and bytes are counted.
    pub counter: bool,
    /// What happens to them.
    pub action: Action,
}

/// A question about a packet. `not` asks for the opposite.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each names what it asks")]
pub enum Match {
    /// The link it came in by.
    InterfaceIn { name: InterfaceName, not: bool },
    /// The link it goes out by.
    InterfaceOut { name: InterfaceName, not: bool },
    /// The group of the link it came in by.
    GroupIn { group: u32, not: bool },
    /// The group of the link it goes out by.
    GroupOut { group: u32, not: bool },
    /// Whether it is IPv4.
    Ipv4 { not: bool },
    /// What a frame holds, such as 0x0800.
    EtherType(u16),
    /// The protocol above IP.
    Protocol(u8),
    /// Where it comes from.
    Source { range: Cidr, not: bool },
    /// Where it goes to.
    Destination { range: Cidr, not: bool },
    /// It goes to one of these, all of which say the same of it, and none meets another. Each counts what
    /// it matches, so this is a rule's last question.
    Flows(Vec<FlowRange>),
    /// The source port of TCP or UDP.
    SourcePort(u16),
    /// The destination port of TCP or UDP.
    DestinationPorts(BTreeSet<u16>),
    /// It belongs to a connection that exists, or is an error about one.
    Established,
    /// It begins a connection: it is the first packet of one that is allowed until now.
    Begins,
    /// Its sender, with this packet, keeps a bound. The packet is counted in a set that packets fill.
    Within { set: String, bound: Bound },
    /// The destination of its connection was changed.
    DestinationChanged,
    /// Its destination is an address of the host.
    ToHost,
    /// A set has it.
    InSet { fields: Vec<Field>, set: String, not: bool },
}

/// What one sender may not exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// So many packets that are asked about in a second, and so many at once.
    Rate {
        /// In a second.
        per_second: u32,
        /// At once.
        burst: u32,
    },
    /// So many connections at once.
    Connections(u32),
}

/// Where packets go to, and by what where it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlowRange {
    /// The protocol above IP.
    pub protocol: Option<u8>,
    /// The destination port of TCP or UDP.
    pub port: Option<u16>,
    /// The destination of its IPv4 header.
    pub to: Cidr,
}

/// What happens to a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// It goes on.
    Accept,
    /// It is gone.
    Drop,
    /// The rest of this chain is left out.
    Return,
    /// Another chain has it, and does not give it back.
    Goto(String),
    /// Another chain has it, and gives back what it does not decide.
    Jump(String),
    /// The chain has it that a map leads to.
    Lookup {
        /// What the map is asked with.
        fields: Vec<Field>,
        /// The map.
        map: String,
    },
    /// It gets the address of the link that it leaves by.
    Masquerade,
    /// It goes to the address and port that a map leads to.
    Redirect {
        /// What the map is asked with.
        fields: Vec<Field>,
        /// The map.
        map: String,
    },
}

impl Rule {
    /// A rule that counts what it drops.
    #[must_use]
    pub fn drop(matches: impl Into<Vec<Match>>) -> Self {
        Self { matches: matches.into(), counter: true, action: Action::Drop }
    }

    /// A rule without a counter.
    #[must_use]
    pub fn new(matches: impl Into<Vec<Match>>, action: Action) -> Self {
        Self { matches: matches.into(), counter: false, action }
    }
}

impl Ruleset {
    /// How many rules there are.
    #[must_use]
    pub fn rule_count(&self) -> usize {
        self.tables.iter().flat_map(|table| &table.chains).map(|chain| chain.rules.len()).sum()
    }
}
