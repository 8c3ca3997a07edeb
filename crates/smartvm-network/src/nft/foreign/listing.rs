//! The chains, rules and sets of other programs, as the kernel lists them.

use std::collections::BTreeMap;

use super::super::kernel as k;
use super::matching;
use super::probe::Probe;
use super::verdict::{Effect, Holds};
use super::walk::Chains;
use crate::netlink::{Attributes, Message, NetlinkError, NetlinkSocket, Request};

/// `NF_INET_FORWARD`, the number of the hook.
const FORWARD: u32 = 2;
/// `NFPROTO_INET` and `NFPROTO_IPV4`, in whose chains IPv4 packets are.
const FAMILIES: [(u8, &str); 2] = [(1, "inet"), (2, "ip")];

const GET_SET: u16 = k::message(10);
const SET_ELEMENT_FLAGS: u16 = 3;
const SET_ELEMENT_KEY_END: u16 = 10;

/// A table, by family and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TableId {
    pub(super) family: u8,
    pub(super) name: String,
}

impl TableId {
    /// A table of IPv4 packets alone.
    pub(super) const fn of_ipv4(name: String) -> Self {
        Self { family: FAMILIES[1].0, name }
    }

    pub(super) fn family_name(&self) -> &'static str {
        FAMILIES.iter().find(|(number, _)| *number == self.family).map_or("?", |(_, name)| name)
    }
}

/// A chain that has packets at the hook `forward`.
#[derive(Debug, Clone)]
pub(super) struct ForwardChain {
    pub(super) table: TableId,
    pub(super) name: String,
    /// Whether what reaches its end is dropped.
    pub(super) drops: bool,
}

/// All base chains of others at the hook `forward`.
pub(super) fn forward_chains(
    socket: &mut NetlinkSocket,
) -> Result<Vec<ForwardChain>, NetlinkError> {
    let request = Request::new(k::GET_CHAIN, 0, &[0; k::HEADER]);
    let chains = socket.dump("list", "chains", &request)?;
    Ok(chains.iter().filter_map(read_forward).collect())
}

fn read_forward(message: &Message) -> Option<ForwardChain> {
    let family = *message.header(k::HEADER).first()?;
    let attributes = message.attributes(k::HEADER);
    let table = attributes.text(k::CHAIN_TABLE)?;
    let is_forward = attributes.within(k::CHAIN_HOOK).be32(k::HOOK_NUMBER) == Some(FORWARD);
    let sees_ipv4 = FAMILIES.iter().any(|(number, _)| *number == family);
    // All that is named so is ours, of whatever network.
    if !is_forward || !sees_ipv4 || table.starts_with("smartvm-") {
        return None;
    }
    Some(ForwardChain {
        table: TableId { family, name: table.to_owned() },
        name: attributes.text(k::CHAIN_NAME)?.to_owned(),
        drops: attributes.be32(k::CHAIN_POLICY) == Some(k::DROP.cast_unsigned()),
    })
}

/// A table whose rules were read.
#[derive(Debug)]
pub(super) struct Listing<'a> {
    socket: &'a mut NetlinkSocket,
    table: TableId,
    chains: BTreeMap<String, Vec<Message>>,
}

impl<'a> Listing<'a> {
    pub(super) fn read(
        socket: &'a mut NetlinkSocket,
        table: TableId,
    ) -> Result<Self, NetlinkError> {
        let request = request(k::GET_RULE, &table);
        let mut chains: BTreeMap<String, Vec<Message>> = BTreeMap::new();
        for rule in socket.dump("list rules of", &table.name, &request)? {
            let attributes = rule.attributes(k::HEADER);
            let is_of_it = rule.header(k::HEADER).first() == Some(&table.family)
                && attributes.text(k::RULE_TABLE) == Some(&*table.name);
            if let Some(chain) = attributes.text(k::RULE_CHAIN).filter(|_| is_of_it) {
                chains.entry(chain.to_owned()).or_default().push(rule);
            }
        }
        Ok(Self { socket, table, chains })
    }

    /// The rules of a chain; none when it has none.
    fn rules(&self, chain: &str) -> &[Message] {
        self.chains.get(chain).map(Vec::as_slice).unwrap_or_default()
    }

    /// How long the keys of a set are; none when that is not told.
    pub(super) fn key_length(&mut self, set: &str) -> Result<Option<usize>, NetlinkError> {
        let mut request = request(GET_SET, &self.table);
        request.attributes().text(k::SET_NAME, set);
        let found = self.socket.get("look for set", set, &request)?;
        let length = found.iter().find_map(|it| it.attributes(k::HEADER).be32(k::SET_KEY_LENGTH));
        Ok(length.and_then(|length| usize::try_from(length).ok()))
    }

    /// What a set has for a key.
    pub(super) fn look_up(&mut self, set: &str, key: &[u8]) -> Result<Found, NetlinkError> {
        let mut request = request(k::GET_ELEMENT, &self.table);
        request.attributes().text(k::ELEMENTS_SET, set);
        let messages = self.socket.dump("list elements of", set, &request)?;
        let mut found = Found::Nothing;
        for message in &messages {
            for (_, element) in message.attributes(k::HEADER).within(k::ELEMENTS_LIST) {
                let element = Attributes::new(element);
                let is_range = element.find(SET_ELEMENT_KEY_END).is_some()
                    || element.be32(SET_ELEMENT_FLAGS).is_some_and(|flags| flags != 0);
                if is_range {
                    return Ok(Found::Unknown);
                }
                if element.within(k::ELEMENT_KEY).find(k::DATA_VALUE) == Some(key) {
                    let data = element.find(k::ELEMENT_DATA).unwrap_or_default();
                    found = Found::Element(data.to_vec());
                }
            }
        }
        Ok(found)
    }
}

impl Chains for Listing<'_> {
    fn count(&self, chain: &str) -> usize {
        self.rules(chain).len()
    }

    fn judge(
        &mut self,
        chain: &str,
        rule: usize,
        probe: &Probe,
    ) -> Result<(Holds, Effect), NetlinkError> {
        match self.rules(chain).get(rule).cloned() {
            Some(rule) => matching::judge(&rule, probe, self),
            None => Ok((Holds::No, Effect::Continue)),
        }
    }

    fn leads_to(&self, chain: &str, other: &str) -> bool {
        let leads = |rule: &Message| {
            let mut expressions = rule.attributes(k::HEADER).within(k::RULE_EXPRESSIONS);
            expressions.any(|(_, expression)| {
                let data = Attributes::new(expression).within(k::EXPRESSION_DATA);
                let verdict = data.within(k::IMMEDIATE_DATA).within(k::DATA_VERDICT);
                verdict.text(k::VERDICT_CHAIN) == Some(other)
            })
        };
        self.rules(chain).iter().any(leads)
    }
}

/// What a set has for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// It has it, with this data, which is empty in a set without any.
    Element(Vec<u8>),
    /// It has it not.
    Nothing,
    /// It has ranges, or more than that.
    Unknown,
}

fn request(kind: u16, table: &TableId) -> Request {
    let mut request = Request::new(kind, 0, &[table.family, 0, 0, 0]);
    request.attributes().text(k::TABLE_NAME, &table.name);
    request
}
