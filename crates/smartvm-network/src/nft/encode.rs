//! Requests that make and remove tables, chains, sets, elements and rules.

use super::anonymous_set::{self, AnonymousSet, RangePart, SetKey};
use super::elements::{Element, ElementData};
use super::expression::{self, write_verdict};
use super::field::{Field, type_number, words};
use super::kernel as k;
use super::ruleset::{Base, Chain, ChainKind, Family, Hook, Rule, Ruleset, Set, SetData, Table};
use crate::netlink::{AttributeWriter, Request};

/// An attribute is below 64 KiB, and an element below 150 bytes.
const ELEMENTS_AT_ONCE: usize = 400;

/// More than a bridge can have links, each with one address.
pub(super) const FILLED_BY_PACKETS_SIZE: u32 = 65_535;
/// Longer than any burst takes to be allowed again.
const RATES_END_AFTER_MS: u64 = 60_000;

impl Family {
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Inet => 1,
            Self::Bridge => 7,
        }
    }
}

impl Hook {
    pub(super) const fn number(self) -> u32 {
        match self {
            Self::Prerouting => 0,
            Self::Input => 1,
            Self::Forward => 2,
            Self::Output => 3,
            Self::Postrouting => 4,
        }
    }
}

impl ChainKind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Nat => "nat",
        }
    }
}

/// Puts a ruleset in the place of what there was of its tables.
pub(super) fn replace(ruleset: &Ruleset) -> Vec<Request> {
    let mut requests = remove(ruleset.tables.iter().map(|table| (table.family, &*table.name)));
    let mut set_ids = 0;
    for table in &ruleset.tables {
        requests.push(table_request(k::NEW_TABLE, k::NLM_F_CREATE, table.family, &table.name));
        let at = (table.family, &*table.name);
        for set in &table.sets {
            set_ids += 1;
            requests.push(new_set(at, set, set_ids));
        }
        requests.extend(table.chains.iter().map(|chain| new_chain(at, chain)));
        for set in &table.sets {
            requests.extend(elements(k::NEW_ELEMENT, at, &set.name, &set.elements));
        }
        for chain in &table.chains {
            add_rules(at, chain, &mut set_ids, &mut requests);
        }
    }
    requests
}

/// Removes tables, whether they exist or not.
pub(super) fn remove<'a>(tables: impl Iterator<Item = (Family, &'a str)>) -> Vec<Request> {
    let mut requests = Vec::new();
    for (family, name) in tables {
        // Made if missing, so that the removal cannot fail.
        requests.push(table_request(k::NEW_TABLE, k::NLM_F_CREATE, family, name));
        requests.push(table_request(k::DELETE_TABLE, 0, family, name));
    }
    requests
}

fn header(family: Family) -> [u8; k::HEADER] {
    [family.number(), 0, 0, 0]
}

pub(super) fn table_request(kind: u16, flags: u16, family: Family, name: &str) -> Request {
    let mut request = Request::new(kind, flags, &header(family));
    request.attributes().text(k::TABLE_NAME, name);
    request
}

/// Makes a chain with its rules, which nothing leads to yet.
pub(super) fn chain_with_rules(at: (Family, &str), chain: &Chain) -> Vec<Request> {
    let mut requests = vec![new_chain(at, chain)];
    add_rules(at, chain, &mut 0, &mut requests);
    requests
}

pub(super) fn delete_chain(at: (Family, &str), name: &str) -> Request {
    let mut request = Request::new(k::DELETE_CHAIN, 0, &header(at.0));
    request.attributes().text(k::CHAIN_TABLE, at.1).text(k::CHAIN_NAME, name);
    request
}

fn new_chain(at: (Family, &str), chain: &Chain) -> Request {
    let mut request = Request::new(k::NEW_CHAIN, k::NLM_F_CREATE | k::NLM_F_EXCL, &header(at.0));
    let attributes = request.attributes();
    attributes.text(k::CHAIN_TABLE, at.1).text(k::CHAIN_NAME, &chain.name);
    if let Some(base) = chain.base {
        write_base(attributes, base);
    }
    request
}

fn write_base(attributes: &mut AttributeWriter, base: Base) {
    attributes
        .nested(k::CHAIN_HOOK, |hook| {
            hook.be32(k::HOOK_NUMBER, base.hook.number())
                .be32(k::HOOK_PRIORITY, base.priority.cast_unsigned());
        })
        .be32(k::CHAIN_POLICY, k::ACCEPT.cast_unsigned())
        .text(k::CHAIN_TYPE, base.kind.name());
}

fn add_rules(at: (Family, &str), chain: &Chain, set_ids: &mut u32, requests: &mut Vec<Request>) {
    for rule in &chain.rules {
        let first_set = *set_ids + 1;
        for set in AnonymousSet::of(rule) {
            *set_ids += 1;
            requests.push(new_anonymous(at, set, *set_ids));
            let fill = |keys: &[SetKey]| fill_anonymous(at, *set_ids, keys);
            requests.extend(set.keys().chunks(ELEMENTS_AT_ONCE).map(fill));
        }
        requests.push(new_rule(at, &chain.name, rule, first_set));
    }
}

fn new_rule(at: (Family, &str), chain: &str, rule: &Rule, first_set: u32) -> Request {
    let flags = k::NLM_F_CREATE | k::NLM_F_APPEND;
    let mut request = Request::new(k::NEW_RULE, flags, &header(at.0));
    let attributes = request.attributes();
    attributes.text(k::RULE_TABLE, at.1).text(k::RULE_CHAIN, chain);
    attributes.nested(k::RULE_EXPRESSIONS, |list| expression::write(at.0, rule, list, first_set));
    request
}

fn new_set(at: (Family, &str), set: &Set, id: u32) -> Request {
    let flags = match set.data {
        SetData::None => 0,
        SetData::Verdict | SetData::Target => k::SET_MAP,
        SetData::Rates => k::SET_FILLED_BY_PACKETS | k::SET_EXPIRES,
        SetData::Connections => k::SET_FILLED_BY_PACKETS,
    };
    let mut request = set_request(at, &set.name, flags, &set.key, id);
    let attributes = request.attributes();
    match set.data {
        SetData::None => {}
        SetData::Rates | SetData::Connections => {
            attributes.nested(k::SET_DESCRIPTION, |description| {
                description.be32(k::DESCRIPTION_SIZE, FILLED_BY_PACKETS_SIZE);
            });
            if set.data == SetData::Rates {
                attributes.be64(k::SET_TIMEOUT, RATES_END_AFTER_MS);
            }
        }
        SetData::Verdict => {
            attributes.be32(k::SET_DATA_TYPE, k::DATA_TYPE_VERDICT);
        }
        SetData::Target => {
            // An address and a port, by the numbers of `nft`.
            attributes.be32(k::SET_DATA_TYPE, (7 << 6) | 13).be32(k::SET_DATA_LENGTH, 8);
        }
    }
    request
}

fn set_request(at: (Family, &str), name: &str, flags: u32, key: &[Field], id: u32) -> Request {
    let mut request = Request::new(k::NEW_SET, k::NLM_F_CREATE | k::NLM_F_EXCL, &header(at.0));
    let length = if let [field] = key { field.length() } else { words(key) * 4 };
    request
        .attributes()
        .text(k::SET_TABLE, at.1)
        .text(k::SET_NAME, name)
        .be32(k::SET_FLAGS, flags)
        .be32(k::SET_KEY_TYPE, type_number(key))
        .be32(k::SET_KEY_LENGTH, length)
        .be32(k::SET_ID, id);
    request
}

fn new_anonymous(at: (Family, &str), set: AnonymousSet<'_>, id: u32) -> Request {
    let mut request = set_request(at, anonymous_set::NAME, set.flags(), &set.fields(), id);
    if set.counts() {
        request.attributes().nested(k::SET_EXPRESSION, expression::write_counter);
    }
    if set.flags() & k::SET_CONCATENATION != 0 {
        request.attributes().nested(k::SET_DESCRIPTION, |description| {
            description.nested(k::DESCRIPTION_FIELDS, |fields| {
                for field in set.fields() {
                    fields.nested(k::LIST_ELEMENT, |it| {
                        it.be32(k::FIELD_LENGTH, field.length());
                    });
                }
            });
        });
    }
    request
}

fn fill_anonymous(at: (Family, &str), id: u32, keys: &[SetKey]) -> Request {
    let mut request = Request::new(k::NEW_ELEMENT, k::NLM_F_CREATE, &header(at.0));
    request
        .attributes()
        .text(k::ELEMENTS_TABLE, at.1)
        .text(k::ELEMENTS_SET, anonymous_set::NAME)
        .be32(k::ELEMENTS_SET_ID, id)
        .nested(k::ELEMENTS_LIST, |list| {
            for key in keys {
                list.nested(k::LIST_ELEMENT, |element| {
                    element.nested(k::ELEMENT_KEY, |it| {
                        it.bytes(k::DATA_VALUE, &key.bytes);
                    });
                    match &key.range {
                        RangePart::Start => {}
                        RangePart::End => {
                            element.be32(k::ELEMENT_FLAGS, k::INTERVAL_END);
                        }
                        RangePart::To(last) => {
                            element.nested(k::ELEMENT_KEY_END, |it| {
                                it.bytes(k::DATA_VALUE, last);
                            });
                        }
                    }
                });
            }
        });
    request
}

/// Adds or removes elements of a named set.
pub(super) fn elements(
    kind: u16,
    at: (Family, &str),
    set: &str,
    elements: &[Element],
) -> Vec<Request> {
    let flags = if kind == k::NEW_ELEMENT { k::NLM_F_CREATE | k::NLM_F_EXCL } else { 0 };
    let request = |elements: &[Element]| {
        let mut request = Request::new(kind, flags, &header(at.0));
        request.attributes().text(k::ELEMENTS_TABLE, at.1).text(k::ELEMENTS_SET, set).nested(
            k::ELEMENTS_LIST,
            |list| {
                for element in elements {
                    write_element(list, &element.key, &element.data);
                }
            },
        );
        request
    };
    elements.chunks(ELEMENTS_AT_ONCE).map(request).collect()
}

fn write_element(list: &mut AttributeWriter, key: &[u8], data: &ElementData) {
    list.nested(k::LIST_ELEMENT, |element| {
        element.nested(k::ELEMENT_KEY, |it| {
            it.bytes(k::DATA_VALUE, key);
        });
        match data {
            ElementData::None => {}
            ElementData::Jump(chain) => {
                element.nested(k::ELEMENT_DATA, |it| write_verdict(it, k::JUMP, Some(chain)));
            }
            ElementData::Target(address, port) => {
                let [a, b, c, d] = address.octets();
                let [high, low] = port.to_be_bytes();
                element.nested(k::ELEMENT_DATA, |it| {
                    it.bytes(k::DATA_VALUE, &[a, b, c, d, high, low, 0, 0]);
                });
            }
        }
    });
}

/// A rule's expressions as the kernel is told them.
pub(super) fn expressions(family: Family, rule: &Rule) -> AttributeWriter {
    let mut list = AttributeWriter::default();
    expression::write(family, rule, &mut list, 0);
    list
}

/// Asks for all of a kind in a table.
pub(super) fn list(kind: u16, table: &Table) -> Request {
    table_request(kind, 0, table.family, &table.name)
}

/// Asks for all elements of a set.
pub(super) fn list_elements(table: &Table, set: &str) -> Request {
    let mut request = list(k::GET_ELEMENT, table);
    request.attributes().text(k::ELEMENTS_SET, set);
    request
}
