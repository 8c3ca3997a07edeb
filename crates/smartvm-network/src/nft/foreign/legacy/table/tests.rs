use proptest::prelude::*;

use super::super::super::{ForeignProgram, GuestTraffic};
use super::*;

const DROPPED: i32 = -1;
const ACCEPTED: i32 = -2;
const RETURNED: i32 = -5;

/// An entry with further matches, and a target with data.
fn entry(head: [u8; 84], matches: &[u8], target: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = head.to_vec();
    bytes.resize(112, 0);
    bytes.extend_from_slice(matches);
    let begin = bytes.len();
    bytes.extend(extension(target, 0, data));
    let half = |it: usize| u16::try_from(it).unwrap().to_ne_bytes();
    bytes[88..90].copy_from_slice(&half(begin));
    let length = half(bytes.len());
    bytes[90..92].copy_from_slice(&length);
    bytes
}

fn extension(name: &str, revision: u8, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 32];
    bytes[2..2 + name.len()].copy_from_slice(name.as_bytes());
    bytes[31] = revision;
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    let length = u16::try_from(bytes.len()).unwrap();
    bytes[..2].copy_from_slice(&length.to_ne_bytes());
    bytes
}

fn verdict(head: [u8; 84], matches: &[u8], verdict: i32) -> Vec<u8> {
    entry(head, matches, "", &verdict.to_ne_bytes())
}

fn head_of(name: &str) -> Vec<u8> {
    let mut data = [0; 30];
    data[..name.len()].copy_from_slice(name.as_bytes());
    entry([0; 84], &[], "ERROR", &data)
}

/// What matches packets that come in, or go out, by links whose names begin so.
fn by_link(prefix: &str, out: bool) -> [u8; 84] {
    let mut head = [0; 84];
    let at = if out { 32 } else { 16 };
    head[at..at + prefix.len()].copy_from_slice(prefix.as_bytes());
    head[at + 32..at + 32 + prefix.len()].fill(0xff);
    // As iptables leaves it there.
    head[at + prefix.len()] = b'+';
    head
}

/// A table of rules at the hook, then the policy, then chains with their rules.
fn table(
    rules: &[Vec<u8>],
    policy: i32,
    chains: &[(&str, Vec<Vec<u8>>)],
) -> (ForwardHook, Vec<u8>) {
    // What is for the host itself comes first.
    let mut bytes = verdict([0; 84], &[], ACCEPTED);
    let first = bytes.len();
    bytes.extend(rules.concat());
    let hook = ForwardHook { first, policy: bytes.len() };
    bytes.extend(verdict([0; 84], &[], policy));
    for (name, rules) in chains {
        bytes.extend(head_of(name));
        bytes.extend(rules.concat());
        bytes.extend(verdict([0; 84], &[], RETURNED));
    }
    bytes.extend(head_of("ERROR"));
    (hook, bytes)
}

fn block(name: &str, (hook, bytes): (ForwardHook, Vec<u8>)) -> Option<ForeignBlock> {
    let table = LegacyTable::read(name, hook, bytes).unwrap();
    table.block(&"svbr0".parse().unwrap(), Subnet::default(), Some("uplink"), false)
}

fn stops(table: (ForwardHook, Vec<u8>)) -> Vec<GuestTraffic> {
    block("filter", table).map(|block| block.stops).unwrap_or_default()
}

#[test]
fn a_rule_of_the_old_iptables_decides_of_what_it_matches() {
    use GuestTraffic::{Answers, Connections};
    let all = [Connections, Answers];
    let everything = [0; 84];
    let mut guests = [0; 84];
    guests[..4].copy_from_slice(&[172, 30, 0, 0]);
    guests[8..12].copy_from_slice(&[255, 255, 255, 0]);
    let mut others = guests;
    others[83] = 0x08;
    let protocol = |number| {
        let mut head = everything;
        head[80] = number;
        head
    };
    let accept = |head| verdict(head, &[], ACCEPTED);
    for (what, head, left) in [
        ("all", everything, &[][..]),
        ("guests' bridge", by_link("svbr0\0", false), &[Answers]),
        ("another bridge", by_link("svbr1\0", false), &all),
        ("bridges", by_link("svbr", true), &[Connections]),
        // Whom answers come from is not known.
        ("guests' addresses", guests, &[]),
        ("others' addresses", others, &[Connections]),
        ("TCP", protocol(6), &[]),
        ("UDP", protocol(17), &all),
    ] {
        assert_eq!(stops(table(&[accept(head)], DROPPED, &[])), left, "{what}");
    }
    assert_eq!(stops(table(&[], ACCEPTED, &[])), []);
    // What is not known of a match may be.
    let limited = extension("limit", 0, &[0; 16]);
    assert_eq!(stops(table(&[verdict(everything, &limited, ACCEPTED)], DROPPED, &[])), []);
    assert_eq!(stops(table(&[verdict(everything, &limited, DROPPED)], ACCEPTED, &[])), []);
    let cut = [200, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(stops(table(&[verdict(everything, &cut, DROPPED)], ACCEPTED, &[])), []);
}

#[test]
fn a_chain_of_the_old_iptables_is_followed_and_left_again() {
    let rule = |head, it| verdict(head, &[], it);
    let stops_with = |flags, place: usize, rules: Vec<Vec<u8>>| {
        let mut head = [0; 84];
        head[82] = flags;
        let jump = rule(head, i32::try_from(place).unwrap());
        stops(table(&[jump, rule([0; 84], DROPPED)], ACCEPTED, &[("SUB", rules)]))
    };
    // After a rule for the host, two at the hook, the policy, and the chain's own head.
    let place = 4 * rule([0; 84], DROPPED).len() + head_of("SUB").len();
    let accept = vec![rule([0; 84], ACCEPTED)];
    assert_eq!(stops_with(0, place, accept.clone()), []);
    assert_eq!(stops_with(0, place, Vec::new()).len(), 2);
    // Left by `goto`, the policy is next.
    assert_eq!(stops_with(2, place, Vec::new()), []);
    // A place where no chain begins.
    assert_eq!(stops_with(0, place + 8, accept), []);
}

#[test]
fn what_lets_guests_through_the_old_iptables_is_said_in_its_words() {
    let block = |name| block(name, table(&[], DROPPED, &[("DOCKER-USER", Vec::new())])).unwrap();
    let found = block("filter");
    assert_eq!(found.program, ForeignProgram::Iptables);
    assert_eq!(found.backend, ForeignBackend::IptablesLegacy);
    assert_eq!(found.remedies[0], "iptables-legacy -I FORWARD -i svbr0 -j ACCEPT");
    assert_eq!(
        found.to_string(),
        "the chain ip filter FORWARD of iptables in iptables-legacy stops connections of guests, \
         answers to guests"
    );
    let remedies = block("mangle").remedies;
    assert_eq!(remedies[0], "iptables-legacy -t mangle -I FORWARD -i svbr0 -j ACCEPT");
}

#[test]
fn a_table_that_iptables_does_not_make_is_not_read() {
    let (hook, bytes) = table(&[], DROPPED, &[("SUB", Vec::new())]);
    assert!(LegacyTable::read("filter", hook, bytes[..bytes.len() - 1].to_vec()).is_none());
    let nowhere = ForwardHook { policy: hook.policy + 1, ..hook };
    assert!(LegacyTable::read("filter", nowhere, bytes).is_none());
    for names in [["SUB", "SUB"], ["SUB", "FORWARD"]] {
        let (hook, bytes) = table(&[], DROPPED, &names.map(|name| (name, Vec::new())));
        assert!(LegacyTable::read("filter", hook, bytes).is_none());
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_of_the_old_iptables_panic(
        changes in prop::collection::vec((0_usize..2000, any::<u8>()), 0..20),
        noise in prop::collection::vec(any::<u8>(), 0..400),
        hook in (0_usize..400, 0_usize..400),
    ) {
        let look = |(hook, bytes)| {
            if let Some(table) = LegacyTable::read("filter", hook, bytes) {
                let _ = table.block(&"svbr0".parse().unwrap(), Subnet::default(), None, true);
            }
        };
        let (first, policy) = hook;
        look((ForwardHook { first, policy }, noise));
        let conntrack = extension("conntrack", 3, &[0; 160]);
        let rule = verdict(by_link("svbr0", false), &conntrack, 300);
        let (hook, mut bytes) = table(&[rule], DROPPED, &[("SUB", Vec::new())]);
        for (at, byte) in changes {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        look((hook, bytes));
    }
}
