use smartvm_network::nft::{Base, Element, Set, SetData};

use super::*;

fn chain(name: &str, priority: Option<i32>, actions: &[(Option<u16>, Action)]) -> Chain {
    let rule = |(port, action): &(Option<u16>, Action)| {
        let ports = port.map(|port| Match::DestinationPorts([port].into()));
        Rule::new(Vec::from_iter(ports), action.clone())
    };
    let base =
        priority.map(|priority| Base { kind: ChainKind::Filter, hook: Hook::Input, priority });
    Chain { name: name.to_owned(), base, rules: actions.iter().map(rule).collect() }
}

fn goto(name: &str) -> Action {
    Action::Goto(name.to_owned())
}

fn jump() -> Action {
    Action::Lookup { fields: vec![Field::IpSource], map: "jumps".to_owned() }
}

/// A packet to TCP port 80, of 10.0.0.1, from which a map jumps to the chain `sub`.
fn dropped_by(chains: Vec<Chain>) -> Option<(String, usize)> {
    let jumps = Set {
        name: "jumps".to_owned(),
        key: vec![Field::IpSource],
        data: SetData::Verdict,
        elements: vec![Element::policy([10, 0, 0, 1].into(), "sub")],
    };
    let table = Table { family: Family::Inet, name: "test".to_owned(), sets: vec![jumps], chains };
    let ruleset = Ruleset { tables: vec![table] };
    let mut frame = vec![0; 54];
    frame[12] = 8;
    frame[14] = 0x45;
    frame[23] = 6;
    frame[26] = 10;
    frame[29] = 1;
    frame[37] = 80;
    let mut packet = Packet {
        frame,
        link_in: Some(Link::plain("lan0")),
        link_out: None,
        established: false,
        destination_changed: false,
        over_bounds: false,
        to_host: true,
        masqueraded: false,
    };
    let passed = Machine::new(&ruleset).pass(Family::Inet, Hook::Input, &mut packet);
    passed.err().map(|dropped| (dropped.chain, dropped.index))
}

fn at(chain: &str, index: usize) -> Option<(String, usize)> {
    Some((chain.to_owned(), index))
}

#[test]
fn an_accept_ends_its_base_chain_and_a_drop_ends_all() {
    let accept = || chain("accept", Some(0), &[(None, Action::Accept), (None, Action::Drop)]);
    let drop = |priority| chain("drop", Some(priority), &[(Some(80), Action::Drop)]);
    assert_eq!(dropped_by(vec![accept()]), None);
    assert_eq!(dropped_by(vec![accept(), drop(1)]), at("drop", 0));
    assert_eq!(dropped_by(vec![accept(), drop(-1)]), at("drop", 0));
    let first = chain("first", Some(-2), &[(Some(81), Action::Drop), (None, Action::Drop)]);
    assert_eq!(dropped_by(vec![drop(-1), first]), at("first", 1));
}

#[test]
fn after_a_chain_that_was_gone_to_the_callers_rest_is_left_out() {
    let main = chain("main", Some(0), &[(None, goto("sub")), (None, Action::Drop)]);
    for ending in [&[][..], &[(None, Action::Return)], &[(Some(81), Action::Drop)]] {
        assert_eq!(dropped_by(vec![main.clone(), chain("sub", None, ending)]), None);
    }
    let drop = chain("sub", None, &[(None, Action::Drop)]);
    assert_eq!(dropped_by(vec![main, drop]), at("sub", 0));
}

#[test]
fn after_a_chain_that_was_jumped_to_the_next_rule_has_it() {
    let main = || chain("main", Some(0), &[(None, jump()), (None, Action::Drop)]);
    for ending in [&[][..], &[(None, Action::Return), (None, Action::Accept)]] {
        assert_eq!(dropped_by(vec![main(), chain("sub", None, ending)]), at("main", 1));
    }
    let accept = chain("sub", None, &[(None, Action::Accept)]);
    assert_eq!(dropped_by(vec![main(), accept]), None);
    // A chain that was gone to gives it back to who jumped to the one that went.
    let sub = chain("sub", None, &[(None, goto("last")), (None, Action::Accept)]);
    let last = || chain("last", None, &[(None, Action::Return)]);
    assert_eq!(dropped_by(vec![main(), sub, last()]), at("main", 1));
    // And what is gone to does not change who is come back to.
    let outer = chain("outer", Some(0), &[(None, goto("main2")), (None, Action::Drop)]);
    let inner = chain("main2", None, &[(None, jump())]);
    let sub = chain("sub", None, &[]);
    assert_eq!(dropped_by(vec![outer, inner, sub]), None);
}
