//! What nftables does with one packet at one hook.

use std::ops::RangeBounds;

use smartvm_network::nft::{
    Action, Chain, ChainKind, ElementData, Family, Field, Hook, Match, Rule, Ruleset, Set, Table,
};
use smartvm_network::policy::Cidr;

use crate::{Link, Packet};

/// `NF_IP_PRI_CONNTRACK`: connections are known after it.
const CONNTRACK: i32 = -200;

/// Interprets rules as the kernel does.
///
/// At a hook the base chains of a family have a packet in the order of their priorities. A chain that
/// drops it ends everything; one that accepts it ends itself only, and the next has it. A chain that is
/// gone to (`goto`) gives a packet back to whom its caller would have, and so does its end; one that is
/// jumped to, gives it back to the rule after. The end of a base chain accepts. A chain of the
/// kind `nat` sees the first packet of a connection only.
#[derive(Debug, Clone, Copy)]
pub struct Machine<'a> {
    ruleset: &'a Ruleset,
}

/// The rule that dropped a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// Of which family.
    pub family: Family,
    /// Its chain.
    pub chain: String,
    /// Its place there, from 0.
    pub index: usize,
}

/// What a rule does with a packet.
enum Outcome<'a> {
    /// It was not about it, or has done what it does; the next rule has it.
    Next,
    Accept,
    Drop,
    Return,
    Goto(&'a str),
    Jump(&'a str),
}

impl<'a> Machine<'a> {
    /// Interprets these rules.
    #[must_use]
    pub const fn new(ruleset: &'a Ruleset) -> Self {
        Self { ruleset }
    }

    /// Leads a packet through all chains at a hook, which may change it.
    ///
    /// # Errors
    /// The rule that dropped it.
    ///
    /// # Panics
    /// When a rule names a chain or set that there is not.
    pub fn pass(&self, family: Family, hook: Hook, packet: &mut Packet) -> Result<(), Dropped> {
        self.pass_part(family, hook, .., packet)
    }

    /// Leads a packet through the chains at a hook that have these priorities, which may change it.
    ///
    /// # Errors
    /// The rule that dropped it.
    ///
    /// # Panics
    /// When a rule names a chain or set that there is not.
    pub fn pass_part(
        &self,
        family: Family,
        hook: Hook,
        priorities: impl RangeBounds<i32>,
        packet: &mut Packet,
    ) -> Result<(), Dropped> {
        let tables = self.ruleset.tables.iter().filter(|table| table.family == family);
        let chains = tables.flat_map(|table| table.chains.iter().map(move |chain| (table, chain)));
        let mut bases: Vec<_> = chains
            .filter_map(|(table, chain)| Some((chain.base?, table, chain)))
            .filter(|(base, ..)| base.hook == hook && priorities.contains(&base.priority))
            .collect();
        bases.sort_by_key(|(base, ..)| base.priority);
        for (base, table, chain) in bases {
            if base.kind == ChainKind::Nat && packet.established {
                continue;
            }
            let tracked = base.priority > CONNTRACK;
            Walk { table, tracked }.base_chain(chain, packet)?;
        }
        Ok(())
    }
}

/// A way through the chains of a table.
#[derive(Clone, Copy)]
struct Walk<'a> {
    table: &'a Table,
    /// Whether the packet's connection is known by now.
    tracked: bool,
}

impl<'a> Walk<'a> {
    fn base_chain(self, base: &'a Chain, packet: &mut Packet) -> Result<(), Dropped> {
        let mut callers: Vec<(&Chain, usize)> = Vec::new();
        let (mut chain, mut index) = (base, 0);
        loop {
            let Some(rule) = chain.rules.get(index) else {
                let Some(caller) = callers.pop() else { return Ok(()) };
                (chain, index) = caller;
                continue;
            };
            match self.rule(rule, packet) {
                Outcome::Next => index += 1,
                Outcome::Accept => return Ok(()),
                Outcome::Drop => {
                    let (family, chain) = (self.table.family, chain.name.clone());
                    return Err(Dropped { family, chain, index });
                }
                Outcome::Return => {
                    let Some(caller) = callers.pop() else { return Ok(()) };
                    (chain, index) = caller;
                }
                Outcome::Goto(name) => (chain, index) = (self.chain(name), 0),
                Outcome::Jump(name) => {
                    callers.push((chain, index + 1));
                    (chain, index) = (self.chain(name), 0);
                }
            }
        }
    }

    fn rule(self, rule: &'a Rule, packet: &mut Packet) -> Outcome<'a> {
        if !rule.matches.iter().all(|it| self.holds(it, packet)) {
            return Outcome::Next;
        }
        match &rule.action {
            Action::Accept => Outcome::Accept,
            Action::Drop => Outcome::Drop,
            Action::Return => Outcome::Return,
            Action::Goto(chain) => Outcome::Goto(chain),
            Action::Jump(chain) => Outcome::Jump(chain),
            Action::Lookup { fields, map } => match self.look_up(map, fields, packet) {
                None => Outcome::Next,
                Some(ElementData::Jump(chain)) => Outcome::Jump(chain),
                Some(other) => panic!("{map} leads to {other:?}, which is no verdict"),
            },
            Action::Masquerade => {
                packet.masqueraded = true;
                Outcome::Accept
            }
            Action::Redirect { fields, map } => match self.look_up(map, fields, packet) {
                None => Outcome::Next,
                Some(ElementData::Target(address, port)) => {
                    packet.redirect(address.octets(), port.to_be_bytes());
                    Outcome::Accept
                }
                Some(other) => panic!("{map} leads to {other:?}, which is no address"),
            },
        }
    }

    fn holds(self, it: &Match, packet: &Packet) -> bool {
        let inet = self.table.family == Family::Inet;
        match it {
            // Without a link its name is empty, which is another.
            Match::InterfaceIn { name, not } => {
                is_named(packet.link_in.as_ref(), name.as_str()) != *not
            }
            Match::InterfaceOut { name, not } => {
                is_named(packet.link_out.as_ref(), name.as_str()) != *not
            }
            // Without a link there is no group to compare.
            Match::GroupIn { group, not } => {
                packet.link_in.as_ref().is_some_and(|link| (link.group == *group) != *not)
            }
            Match::GroupOut { group, not } => {
                packet.link_out.as_ref().is_some_and(|link| (link.group == *group) != *not)
            }
            // On a bridge, every frame is of the bridge's family.
            Match::Ipv4 { not } => (inet && packet.is_ipv4()) != *not,
            Match::EtherType(kind) => packet.ether_type() == *kind,
            Match::Protocol(number) => packet.protocol() == Some(*number),
            Match::Source { range, not } => self.is_in(packet, 12, *range, *not),
            Match::Destination { range, not } => self.is_in(packet, 16, *range, *not),
            Match::Flows(flows) => flows.iter().any(|flow| {
                let port = |port: u16| packet.transport(2, 2) == Some(&port.to_be_bytes()[..]);
                flow.protocol.is_none_or(|number| packet.protocol() == Some(number))
                    && flow.port.is_none_or(port)
                    && self.is_in(packet, 16, flow.to, false)
            }),
            Match::SourcePort(port) => packet.transport(0, 2) == Some(&port.to_be_bytes()[..]),
            Match::DestinationPorts(ports) => packet
                .transport(2, 2)
                .is_some_and(|it| ports.contains(&u16::from_be_bytes([it[0], it[1]]))),
            Match::Established => self.tracked && packet.established,
            Match::Begins => self.tracked && !packet.established,
            Match::Within { .. } => packet.is_ipv4() && !packet.over_bounds,
            Match::DestinationChanged => self.tracked && packet.destination_changed,
            Match::ToHost => packet.to_host,
            Match::InSet { fields, set, not } => {
                let set = self.set(set);
                packet.key(self.table.family, fields).is_some_and(|key| {
                    set.elements.iter().any(|element| element.key() == key) != *not
                })
            }
        }
    }

    /// Whether the address at an offset of the IPv4 header is in a range.
    fn is_in(self, packet: &Packet, offset: usize, range: Cidr, not: bool) -> bool {
        // A rule of `inet` asks first whether there is such a header.
        if self.table.family == Family::Inet && !packet.is_ipv4() {
            return false;
        }
        let Some(bytes) = packet.network(offset, 4) else { return false };
        let address = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let spare = 32 - u32::from(range.prefix());
        let same = (u64::from(address) >> spare) == (u64::from(range.network().to_bits()) >> spare);
        same != not
    }

    fn look_up(self, map: &str, fields: &[Field], packet: &Packet) -> Option<&'a ElementData> {
        let key = packet.key(self.table.family, fields)?;
        let mut elements = self.set(map).elements.iter();
        elements.find(|element| element.key() == key).map(|element| element.data())
    }

    fn chain(self, name: &str) -> &'a Chain {
        let found = self.table.chains.iter().find(|chain| chain.name == name);
        found.unwrap_or_else(|| panic!("there is no chain {name}"))
    }

    fn set(self, name: &str) -> &'a Set {
        let found = self.table.sets.iter().find(|set| set.name == name);
        found.unwrap_or_else(|| panic!("there is no set {name}"))
    }
}

fn is_named(link: Option<&Link>, name: &str) -> bool {
    link.is_some_and(|link| link.name == name)
}

#[cfg(test)]
mod tests;
