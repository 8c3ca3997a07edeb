//! Comparing what the kernel has with what it was told.

use std::collections::BTreeSet;

use super::anonymous_set::{AnonymousSet, RangePart, SetKey};
use super::encode;
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
        found => {
            let flags = |it: &Message| it.attributes(k::HEADER).be32(k::TABLE_FLAGS).unwrap_or(0);
            if found?.iter().any(|it| flags(it) & k::DORMANT != 0) {
                return Err(NotInForce::Differs { table: name(), what: "its sleep".to_owned() });
            }
        }
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
    let mut anonymous = Vec::new();
    for chain in &table.chains {
        let of_chain: Vec<&Message> = of_table(&rules, table, k::RULE_TABLE)
            .filter(|rule| rule.attributes(k::HEADER).text(k::RULE_CHAIN) == Some(&*chain.name))
            .collect();
        if of_chain.len() != chain.rules.len() {
            return Err(differs(format!("the number of rules of chain {}", chain.name)));
        }
        for (index, (rule, found)) in chain.rules.iter().zip(of_chain).enumerate() {
            if !is_rule(table.family, rule, found, &mut anonymous) {
                return Err(differs(format!("rule {index} of chain {}", chain.name)));
            }
        }
    }
    if how == Verified::Everything {
        for set in table.sets.iter().filter(|set| !set.data.is_filled_by_packets()) {
            if keys(socket, table, &set.name)? != keys_of(set) {
                return Err(differs(format!("what set {} holds", set.name)));
            }
        }
        for (set, held) in anonymous {
            if keys(socket, table, &set)? != held {
                return Err(differs(format!("what set {set} holds")));
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

/// A set without a name, as the kernel has named it, and what it should hold.
type FoundSet = (String, BTreeSet<SetKey>);

fn is_rule(family: Family, rule: &Rule, found: &Message, anonymous: &mut Vec<FoundSet>) -> bool {
    let expected = encode::expressions(family, rule);
    let mut expected = Attributes::new(expected.as_bytes());
    let mut found = found.attributes(k::HEADER).within(k::RULE_EXPRESSIONS);
    let mut sets = AnonymousSet::of(rule);
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
                        anonymous.push((set.to_owned(), wanted.keys().into_iter().collect()));
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

fn keys_of(set: &Set) -> BTreeSet<SetKey> {
    let elements = set.elements.iter();
    elements.map(|element| SetKey { bytes: element.key.clone(), range: RangePart::Start }).collect()
}

fn keys(
    socket: &mut NetlinkSocket,
    table: &Table,
    set: &str,
) -> Result<BTreeSet<SetKey>, NetlinkError> {
    let messages = elements_of(socket, table, set)?;
    let elements = messages.iter().flat_map(elements);
    Ok(elements.map(|element| key_of(element)).collect())
}

/// What the kernel says that a set holds.
pub(super) fn elements_of(
    socket: &mut NetlinkSocket,
    table: &Table,
    set: &str,
) -> Result<Vec<Message>, NetlinkError> {
    socket.dump("list elements of", set, &encode::list_elements(table, set))
}

/// The elements of one of its messages.
pub(super) fn elements(message: &Message) -> impl Iterator<Item = Attributes<'_>> {
    let list = message.attributes(k::HEADER).within(k::ELEMENTS_LIST);
    list.map(|(_, element)| Attributes::new(element))
}

pub(super) fn key_of(element: Attributes<'_>) -> SetKey {
    let value = |kind| Some(element.find(kind).map(Attributes::new)?.find(k::DATA_VALUE)?.to_vec());
    let ends = element.be32(k::ELEMENT_FLAGS).unwrap_or(0) & k::INTERVAL_END != 0;
    let range = match value(k::ELEMENT_KEY_END) {
        Some(last) => RangePart::To(last),
        None if ends => RangePart::End,
        None => RangePart::Start,
    };
    SetKey { bytes: value(k::ELEMENT_KEY).unwrap_or_default(), range }
}
