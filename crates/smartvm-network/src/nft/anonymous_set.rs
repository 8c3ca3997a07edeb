//! Sets without a name: each belongs to a rule, is made with it and goes with it.

use std::collections::BTreeSet;

use super::field::Field;
use super::kernel as k;
use super::ruleset::{FlowRange, Match, Rule};

/// How the kernel is told to find a name of its own.
pub(super) const NAME: &str = "__set%d";

/// A set that a match of a rule asks.
#[derive(Debug, Clone, Copy)]
pub(super) enum AnonymousSet<'a> {
    /// Ports.
    Ports(&'a BTreeSet<u16>),
    /// Where packets may go to, each with a counter.
    Flows(&'a [FlowRange]),
}

/// An element of a set as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SetKey {
    pub(super) bytes: Vec<u8>,
    pub(super) range: RangePart,
}

/// What a key is of a range.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RangePart {
    /// Where it begins, or all of it.
    Start,
    /// Where it ends: the first that is not in it.
    End,
    /// Where it begins; and this is the last that is in it, as keys of several fields have it.
    To(Vec<u8>),
}

impl<'a> AnonymousSet<'a> {
    /// The sets that a rule needs, in the order of its matches.
    pub(super) fn of(rule: &'a Rule) -> impl Iterator<Item = Self> {
        rule.matches.iter().filter_map(Self::of_match)
    }

    /// One port is compared with; several are a set.
    pub(super) fn of_match(it: &'a Match) -> Option<Self> {
        match it {
            Match::DestinationPorts(ports) if ports.len() != 1 => Some(Self::Ports(ports)),
            Match::Flows(flows) => Some(Self::Flows(flows)),
            _ => None,
        }
    }

    /// What it is asked with.
    pub(super) fn fields(self) -> Vec<Field> {
        match self {
            Self::Ports(_) => vec![Field::DestinationPort],
            Self::Flows(flows) => {
                let first = flows.first();
                let protocol = first.and_then(|flow| flow.protocol).map(|_| Field::Protocol);
                let port = first.and_then(|flow| flow.port).map(|_| Field::DestinationPort);
                protocol.into_iter().chain(port).chain([Field::IpDestination]).collect()
            }
        }
    }

    pub(super) fn flags(self) -> u32 {
        let own = k::SET_ANONYMOUS | k::SET_CONSTANT;
        match (self.counts(), self.fields().len()) {
            (false, _) => own,
            (true, 1) => own | k::SET_INTERVAL,
            (true, _) => own | k::SET_INTERVAL | k::SET_CONCATENATION,
        }
    }

    /// Whether each element has a counter.
    pub(super) const fn counts(self) -> bool {
        matches!(self, Self::Flows(_))
    }

    /// What it holds.
    pub(super) fn keys(self) -> Vec<SetKey> {
        let alone = |bytes: &[u8]| SetKey { bytes: bytes.to_vec(), range: RangePart::Start };
        match self {
            Self::Ports(ports) => ports.iter().map(|port| alone(&port.to_be_bytes())).collect(),
            Self::Flows(flows) => flows.iter().flat_map(keys_of).collect(),
        }
    }
}

/// Where a range begins, and where it ends.
pub(super) fn keys_of(flow: &FlowRange) -> impl Iterator<Item = SetKey> + use<> {
    let first = flow.to.network().to_bits();
    let last = first | !flow.to.mask().to_bits();
    let mut bytes = Vec::new();
    if let Some(protocol) = flow.protocol {
        bytes.extend([protocol, 0, 0, 0]);
    }
    if let Some(port) = flow.port {
        let [high, low] = port.to_be_bytes();
        bytes.extend([high, low, 0, 0]);
    }
    let with = |address: u32| [&bytes[..], &address.to_be_bytes()].concat();
    let (range, end) = if bytes.is_empty() {
        // The range that holds the last address of all has no end.
        let end = last.checked_add(1);
        let end = end.map(|end| SetKey { bytes: with(end), range: RangePart::End });
        (RangePart::Start, end)
    } else {
        (RangePart::To(with(last)), None)
    };
    [SetKey { bytes: with(first), range }].into_iter().chain(end)
}
