//! From a policy's rules to those of a chain.

use super::egress_policy::{Decision, EgressPolicy, RuleProtocol};
use super::rule_groups::{RuleGroup, groups};
use crate::nft::{Action, Match, Rule};

/// A policy's rules. What it opens is left to `opened`, and what it merely allows goes back to who asks. Each counts,
/// also where several are one in the kernel.
pub(super) fn egress_rules(policy: &EgressPolicy, opened: &Action) -> Vec<Rule> {
    let action = |decision: Decision| match decision {
        Decision::Opened => opened.clone(),
        Decision::Allowed => Action::Return,
        Decision::Denied => Action::Drop,
    };
    let rule = |group: &RuleGroup<'_>| {
        // A set counts for each of them.
        let counter = group.is_one();
        Rule { matches: egress_matches(group), counter, action: action(group.decision) }
    };
    let mut rules: Vec<_> = groups(&policy.rules).iter().map(rule).collect();
    let action = action(policy.default_decision());
    rules.push(Rule { matches: Vec::new(), counter: true, action });
    rules
}

fn egress_matches(group: &RuleGroup<'_>) -> Vec<Match> {
    let mut matches = Vec::new();
    if group.is_one() {
        let to = group.flows().map(|(flow, _)| flow.to).find(|to| to.prefix() > 0);
        matches.extend(to.map(|range| Match::Destination { range, not: false }));
    }
    let (protocol, ports) = group.common();
    if let Some(number) = protocol.and_then(RuleProtocol::number) {
        matches.push(Match::Protocol(number));
    }
    if let Some(ports) = ports.filter(|ports| !ports.is_empty()) {
        matches.push(Match::DestinationPorts(ports.clone()));
    }
    if !group.is_one() {
        // Last, as it counts what it finds.
        matches.push(Match::Flows(group.flows().map(|(flow, _)| flow).collect()));
    }
    matches
}
