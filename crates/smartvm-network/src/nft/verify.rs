//! Comparing what the kernel has with what it was told.

use std::collections::BTreeSet;

use super::encode;
use super::expression;
use super::kernel as k;
use super::ruleset::{Chain, Family, Rule, Ruleset, Set, Table};
use crate::netlink::{Attributes, Message, NetlinkError, NetlinkSocket};

/// That the kernel has exactly the rules, sets and elements that it should have. Code `NETWORK_RULES_NOT_IN_FORCE`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotInForce {
    /// The kernel could not be asked.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// There is no such table: another program removed all rules.
    #[error("the table {table} is missing")]
    NoTable {
        /// Its name.
        table: String,
    },
    /// Something within is not as it should be.
    #[error("in the table {table}, {what} is not as it was made")]
    Differs {
        /// Its name.
        table: String,
        /// What differs.
        what: String,
    },
}

impl NotInForce {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Netlink(error) => error.code(),
            Self::NoTable { .. } | Self::Differs { .. } => "NETWORK_RULES_NOT_IN_FORCE",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Netlink(error) => error.hint(),
            Self::NoTable { .. } | Self::Differs { .. } => Some(
                "put them back with `smartvm net reload`, and see who changes rules of others: \
                 `nft flush ruleset` is in many a script"
                    .to_owned(),
            ),
        }
    }
}

/// How thoroughly to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// Tables, chains and each rule, expression by expression.
    Rules,
    /// Also the elements of every set.
    Everything,
}

pub(super) fn verify(
    socket: &mut NetlinkSocket,
    ruleset: &Ruleset,
    how: Verified,
) -> Result<(), NotInForce> {
    ruleset.tables.iter().try_for_each(|table| verify_table(socket, table, how))
}

fn verify_table(
    socket: &mut NetlinkSocket,
    table: &Table,
    how: Verified,
) -> Result<(), NotInForce> {
    let name = || table.name.clone();
    match socket.get("look for table", &table.name, &encode::list(k::GET_TABLE, table)) {
        Err(error) if error.is(libc::ENOENT) => return Err(NotInForce::NoTable { table: name() }),
        found => drop(found?),
    }
    let differs = |what: String| NotInForce::Differs { table: name(), what };
    let chains = socket.dump("list chains of", &table.name, &encode::list(k::GET_CHAIN, table))?;
    let chains: Vec<&Message> = of_table(&chains, table, k::CHAIN_TABLE).collect();
    for chain in &table.chains {
        if !chains.iter().any(|found| is_chain(found, chain)) {
            return Err(differs(format!("chain {}", chain.name)));
        }
    }
    if chains.len() != table.chains.len() {
        return Err(differs("the list of chains".to_owned()));
    }
    let rules = socket.dump("list rules of", &table.name, &encode::list(k::GET_RULE, table))?;
    let mut ports = Vec::new();
    for chain in &table.chains {
        let of_chain: Vec<&Message> = of_table(&rules, table, k::RULE_TABLE)
            .filter(|rule| rule.attributes(k::HEADER).text(k::RULE_CHAIN) == Some(&*chain.name))
            .collect();
        if of_chain.len() != chain.rules.len() {
            return Err(differs(format!("the number of rules of chain {}", chain.name)));
        }
        for (index, (rule, found)) in chain.rules.iter().zip(of_chain).enumerate() {
            if !is_rule(table.family, rule, found, &mut ports) {
                return Err(differs(format!("rule {index} of chain {}", chain.name)));
            }
        }
    }
    if how == Verified::Everything {
        for set in &table.sets {
            if keys(socket, table, &set.name)? != keys_of(set) {
                return Err(differs(format!("what set {} holds", set.name)));
            }
        }
        for (set, ports) in ports {
            if keys(socket, table, &set)? != ports {
                return Err(differs("a set of ports".to_owned()));
            }
        }
    }
    Ok(())
}

/// Lists of the kernel hold what other tables of the family have, where it knows no filter.
pub(super) fn of_table<'a>(
    messages: &'a [Message],
    table: &'a Table,
    attribute: u16,
) -> impl Iterator<Item = &'a Message> {
    messages.iter().filter(move |message| {
        message.header(k::HEADER).first() == Some(&table.family.number())
            && message.attributes(k::HEADER).text(attribute) == Some(&*table.name)
    })
}

fn is_chain(found: &Message, chain: &Chain) -> bool {
    let found = found.attributes(k::HEADER);
    let hook = found.within(k::CHAIN_HOOK);
    let base = chain.base.map(|base| {
        (
            base.hook.number(),
            base.priority.cast_unsigned(),
            base.kind.name(),
            k::ACCEPT.cast_unsigned(),
        )
    });
    let found_base = found.find(k::CHAIN_HOOK).and_then(|_| {
        let kind = found.text(k::CHAIN_TYPE)?;
        let policy = found.be32(k::CHAIN_POLICY)?;
        Some((hook.be32(k::HOOK_NUMBER)?, hook.be32(k::HOOK_PRIORITY)?, kind, policy))
    });
    found.text(k::CHAIN_NAME) == Some(&*chain.name) && base == found_base
}

/// A set without a name, and what it should hold.
type FoundPorts = (String, BTreeSet<Vec<u8>>);

fn is_rule(family: Family, rule: &Rule, found: &Message, ports: &mut Vec<FoundPorts>) -> bool {
    let expected = encode::expressions(family, rule);
    let mut expected = Attributes::new(expected.as_bytes());
    let mut found = found.attributes(k::HEADER).within(k::RULE_EXPRESSIONS);
    let mut sets = expression::sets_of(rule);
    loop {
        match (expected.next(), found.next()) {
            (None, None) => return true,
            (Some((_, expected)), Some((_, found))) => {
                let (expected, found) = (Attributes::new(expected), Attributes::new(found));
                let name = expected.text(k::EXPRESSION_NAME);
                if name != found.text(k::EXPRESSION_NAME) {
                    return false;
                }
                let (expected, found) =
                    (expected.within(k::EXPRESSION_DATA), found.within(k::EXPRESSION_DATA));
                let same = match name {
                    // What it has counted by now.
                    Some("counter") => true,
                    Some("lookup") if expected.find(k::LOOKUP_SET_ID).is_some() => {
                        // The kernel has numbered the set.
                        let (Some(set), Some(wanted)) = (found.text(k::LOOKUP_SET), sets.next())
                        else {
                            return false;
                        };
                        let wanted = wanted.iter().map(|port| port.to_be_bytes().to_vec());
                        ports.push((set.to_owned(), wanted.collect()));
                        expected.be32(k::LOOKUP_SREG) == found.be32(k::LOOKUP_SREG)
                            && found.be32(k::LOOKUP_FLAGS).unwrap_or(0) == 0
                    }
                    Some("lookup") => {
                        expected.be32(k::LOOKUP_FLAGS).unwrap_or(0)
                            == found.be32(k::LOOKUP_FLAGS).unwrap_or(0)
                            && holds(expected, found)
                    }
                    _ => holds(expected, found),
                };
                if !same {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

/// Whether all that was told is there. The kernel adds what it has chosen itself.
fn holds(mut expected: Attributes<'_>, found: Attributes<'_>) -> bool {
    loop {
        let nested = expected.next_is_nested();
        let Some((kind, value)) = expected.next() else { return true };
        let Some(has) = found.find(kind) else { return false };
        let same =
            if nested { holds(Attributes::new(value), Attributes::new(has)) } else { value == has };
        if !same {
            return false;
        }
    }
}

fn keys_of(set: &Set) -> BTreeSet<Vec<u8>> {
    set.elements.iter().map(|element| element.key.clone()).collect()
}

fn keys(
    socket: &mut NetlinkSocket,
    table: &Table,
    set: &str,
) -> Result<BTreeSet<Vec<u8>>, NetlinkError> {
    let messages = socket.dump("list elements of", set, &encode::list_elements(table, set))?;
    let mut keys = BTreeSet::new();
    for message in &messages {
        for (_, element) in message.attributes(k::HEADER).within(k::ELEMENTS_LIST) {
            let key = Attributes::new(element).within(k::ELEMENT_KEY).find(k::DATA_VALUE);
            keys.insert(key.unwrap_or_default().to_vec());
        }
    }
    Ok(keys)
}
