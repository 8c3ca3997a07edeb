//! The description of a generation, made from the code, and whether it is still what it was.

use std::fmt::Write;

use crate::endpoint::{AGENT_PORT, DOORBELL_PORT, HOST_CID};
use crate::frame::{AgentKind, HEADER, HostKind};
use crate::generation::{Feature, GENERATION, SessionKind};
use crate::message::Payload;
use crate::order::STDIN_WINDOW;
use crate::refusal::RefusalCode;
use crate::shared::{Lost, Role, Stream};
use crate::{agent, host, shared};

type Parts = &'static [(u16, &'static str, &'static str)];

/// The messages that stand in fields of others.
const WITHIN: [(&str, Parts); 5] = [
    ("Device", host::Device::FIELDS),
    ("Ended", agent::EndedFields::FIELDS),
    ("Prefix", shared::Prefix::FIELDS),
    ("Target", host::TargetFields::FIELDS),
    ("TerminalSize", shared::TerminalSize::FIELDS),
];

/// The types of fields that are no messages.
const SIMPLE: [&str; 14] = [
    "Features",
    "Hidden",
    "IpAddr",
    "Lost",
    "RefusalCode",
    "Role",
    "SessionKind",
    "Stream",
    "Vec<u8>",
    "[u8; 16]",
    "[u8; 6]",
    "bool",
    "i64",
    "u16",
];

fn is_simple(kind: &str) -> bool {
    SIMPLE.contains(&kind) || matches!(kind, "u32" | "u64")
}

fn describe() -> String {
    let mut out = format!(
        "generation {GENERATION}\nagent's port {AGENT_PORT}, doorbell {DOORBELL_PORT}, host {HOST_CID}\n\
         head of a frame {HEADER} bytes, window of input {STDIN_WINDOW} bytes\n"
    );
    let mut frame = |side: &str, number: u8, name: &str, limit: u32, fields: Parts| {
        write!(out, "\n{side} {number} {name} up to {limit}\n").unwrap();
        fields.iter().for_each(|part| describe_field(&mut out, part));
    };
    for kind in HostKind::ALL {
        frame("host", *kind as u8, kind.name(), kind.limit(), kind.fields());
    }
    for kind in AgentKind::ALL {
        frame("agent", *kind as u8, kind.name(), kind.limit(), kind.fields());
    }
    for (name, fields) in WITHIN {
        write!(out, "\nwithin others {name}\n").unwrap();
        fields.iter().for_each(|part| describe_field(&mut out, part));
    }
    let mut choice = |name: &str, values: Vec<(u16, &str)>| {
        write!(out, "\nchoice {name}\n").unwrap();
        for (number, value) in values {
            writeln!(out, "  {number} {value}").unwrap();
        }
    };
    macro_rules! choices {
        ($($name:ident),*) => {$(
            choice(stringify!($name), $name::ALL.iter().map(|(n, _, name)| (*n, *name)).collect());
        )*};
    }
    choices!(Feature, Lost, RefusalCode, Role, SessionKind, Stream);
    out
}

fn describe_field(out: &mut String, (tag, name, kind): &(u16, &str, &str)) {
    if kind.is_empty() {
        writeln!(out, "  {name}").unwrap();
    } else {
        writeln!(out, "  {tag} {name}: {kind}").unwrap();
    }
}

/// A snapshot keeps an agent of any generation alive: what was published is never changed. A frame, a field or a value
/// more, which older agents pass over or never see, belongs to the next generation, in a file of its own.
#[test]
fn a_generation_is_what_its_description_says() {
    let frozen = include_str!("../protocol/generation-1.txt");
    let now = describe();
    assert!(frozen == now, "the protocol is not generation 1 any more, but this:\n{now}");
}

#[test]
fn every_type_of_a_field_is_described() {
    let host = HostKind::ALL.iter().map(|kind| kind.fields());
    let agent = AgentKind::ALL.iter().map(|kind| kind.fields());
    let within = WITHIN.iter().map(|(_, fields)| *fields);
    for (_, name, kind) in host.chain(agent).chain(within).flatten() {
        let inner = ["Option<", "Vec<"].iter().find_map(|outer| {
            kind.strip_prefix(outer)?.strip_suffix('>').filter(|inner| *inner != "u8")
        });
        let kind = inner.unwrap_or(kind);
        let is_within = WITHIN.iter().any(|(within, _)| *within == kind);
        assert!(kind.is_empty() || is_simple(kind) || is_within, "{name}: {kind}");
    }
}

#[test]
fn no_tag_of_a_message_stands_for_two_fields() {
    for kind in HostKind::ALL {
        distinct(kind.name(), kind.fields());
    }
    for kind in AgentKind::ALL {
        distinct(kind.name(), kind.fields());
    }
    WITHIN.iter().for_each(|(name, fields)| distinct(name, fields));
}

fn distinct(name: &str, fields: Parts) {
    let tags: std::collections::BTreeSet<_> = fields.iter().map(|(tag, ..)| tag).collect();
    assert_eq!(tags.len(), fields.len(), "{name}");
}
