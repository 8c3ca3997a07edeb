//! What rules have counted.

use std::collections::BTreeMap;

use super::anonymous_set::{AnonymousSet, SetKey, keys_of};
use super::encode;
use super::kernel as k;
use super::ruleset::{Family, FlowRange, Rule, Table};
use super::verify;
use crate::netlink::{Attributes, Message, NetlinkError, NetlinkSocket};

/// What a rule has counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleCounter {
    /// Of which table.
    pub family: Family,
    /// The chain of the rule.
    pub chain: String,
    /// Its place in the chain, from 0.
    pub index: usize,
    /// Of a rule that counts each of its flows: which of them.
    pub flow: Option<FlowRange>,
    /// Packets that it matched.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

pub(super) fn read(
    socket: &mut NetlinkSocket,
    table: &Table,
) -> Result<Vec<RuleCounter>, NetlinkError> {
    let rules = socket.dump("list rules of", &table.name, &encode::list(k::GET_RULE, table))?;
    let mut counters = Vec::new();
    let mut place: (String, usize) = (String::new(), 0);
    for found in verify::of_table(&rules, table, k::RULE_TABLE) {
        let chain = found.attributes(k::HEADER).text(k::RULE_CHAIN).unwrap_or_default();
        place = if place.0 == chain { (place.0, place.1 + 1) } else { (chain.to_owned(), 0) };
        let mut add = |flow, (packets, bytes)| {
            let (family, chain, index) = (table.family, chain.to_owned(), place.1);
            counters.push(RuleCounter { family, chain, index, flow, packets, bytes });
        };
        for expression in expressions(found) {
            if let Some(counted) = counted(expression) {
                add(None, counted);
            }
        }
        let of_chain = table.chains.iter().find(|it| it.name == chain);
        let rule = of_chain.and_then(|chain| chain.rules.get(place.1));
        let Some((flows, set)) = rule.and_then(|rule| counting_set(rule, found)) else { continue };
        let keys = flows.iter().flat_map(|flow| keys_of(flow).map(|key| (key, *flow)));
        let flows: BTreeMap<SetKey, FlowRange> = keys.collect();
        for message in &verify::elements_of(socket, table, &set)? {
            for element in verify::elements(message) {
                let counted = counted(element.within(k::ELEMENT_EXPRESSION));
                // Where a range ends nothing is counted.
                if let (Some(flow), Some(counted)) = (flows.get(&verify::key_of(element)), counted)
                {
                    add(Some(*flow), counted);
                }
            }
        }
    }
    Ok(counters)
}

fn expressions(rule: &Message) -> impl Iterator<Item = Attributes<'_>> {
    let list = rule.attributes(k::HEADER).within(k::RULE_EXPRESSIONS);
    list.map(|(_, expression)| Attributes::new(expression))
}

/// Packets and bytes, when the expression is a counter.
fn counted(expression: Attributes<'_>) -> Option<(u64, u64)> {
    if expression.text(k::EXPRESSION_NAME) != Some("counter") {
        return None;
    }
    let data = expression.within(k::EXPRESSION_DATA);
    Some((data.be64(k::COUNTER_PACKETS).unwrap_or(0), data.be64(k::COUNTER_BYTES).unwrap_or(0)))
}

/// What the set of a rule that counts holds, and the kernel's name of it: it is the last that the rule asks.
fn counting_set<'a>(rule: &'a Rule, found: &Message) -> Option<(&'a [FlowRange], String)> {
    let flows = AnonymousSet::of(rule).find_map(|set| match set {
        AnonymousSet::Flows(flows) => Some(flows),
        AnonymousSet::Ports(_) => None,
    })?;
    let lookups = expressions(found).filter(|it| it.text(k::EXPRESSION_NAME) == Some("lookup"));
    let last = lookups.last()?.within(k::EXPRESSION_DATA);
    last.text(k::LOOKUP_SET).map(|set| (flows, set.to_owned()))
}
