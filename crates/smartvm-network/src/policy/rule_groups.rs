//! Rules of a policy that the kernel can ask at once: they do the same, and no connection matches two of them.
//!
//! The kernel takes each rule as a list of expressions, and tries rule after rule with each new connection;
//! a set is told in one request and asked once, however much it holds.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use super::cidr::Cidr;
use super::egress_policy::{Decision, EgressRule, RuleProtocol};
use crate::nft::FlowRange;

/// How many groups a rule may pass on its way to one that it can join, and how many services of one are
/// looked at, so that a long policy takes no time that grows with its square.
const PATIENCE: usize = 64;

const EVERYWHERE: Cidr = Cidr::new(Ipv4Addr::UNSPECIFIED, 0);

/// What a rule says besides of its decision and destination.
type Service<'a> = (RuleProtocol, &'a BTreeSet<u16>);

/// What a set must know of connections to hold a rule. Rules of different kinds do not share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind<'a> {
    Destination,
    Protocol,
    Port,
    /// Several ports are asked for before the set.
    Ports(Service<'a>),
}

/// Rules that decide the same of which no connection matches two.
#[derive(Debug)]
pub(crate) struct RuleGroup<'a> {
    /// What all of them say.
    pub(crate) decision: Decision,
    kind: Kind<'a>,
    /// The destinations of each service, with the place of their rule in the policy.
    services: BTreeMap<Service<'a>, BTreeMap<Cidr, usize>>,
}

/// The rules of a policy, in an order that decides each connection as theirs does, by the same rule.
///
/// A rule joins an earlier group, unless a connection could match it and one of those that it would pass by.
pub(crate) fn groups(rules: &[EgressRule]) -> Vec<RuleGroup<'_>> {
    let mut groups: Vec<RuleGroup<'_>> = Vec::new();
    for (place, rule) in rules.iter().enumerate() {
        let index = joined(&groups, rule).unwrap_or_else(|| {
            let (decision, kind) = (rule.decision(), kind(rule));
            groups.push(RuleGroup { decision, kind, services: BTreeMap::new() });
            groups.len() - 1
        });
        groups[index].services.entry(service(rule)).or_default().insert(destination(rule), place);
    }
    groups
}

fn joined(groups: &[RuleGroup<'_>], rule: &EgressRule) -> Option<usize> {
    for (index, group) in groups.iter().enumerate().rev().take(PATIENCE) {
        if group.may_meet(rule) {
            return None;
        }
        if (group.decision, group.kind) == (rule.decision(), kind(rule)) {
            return Some(index);
        }
    }
    None
}

impl<'a> RuleGroup<'a> {
    /// The protocol that all are about, and the ports.
    pub(crate) fn common(&self) -> (Option<RuleProtocol>, Option<&'a BTreeSet<u16>>) {
        let mut services = self.services.keys();
        let first = services.next();
        let (mut protocol, mut ports) = (first.map(|it| it.0), first.map(|it| it.1));
        for (other, others) in services {
            protocol = protocol.filter(|it| it == other);
            ports = ports.filter(|it| it == others);
        }
        (protocol, ports)
    }

    /// What each rule is about besides of what they have in common, and its place in the policy.
    pub(crate) fn flows(&self) -> impl Iterator<Item = (FlowRange, usize)> {
        let (protocol, ports) = self.common();
        self.services.iter().flat_map(move |(service, places)| {
            let protocol = service.0.number().filter(|_| protocol.is_none());
            let port = service.1.first().copied().filter(|_| ports.is_none());
            places.iter().map(move |(to, place)| (FlowRange { protocol, port, to: *to }, *place))
        })
    }

    /// Whether there is one rule only.
    pub(crate) fn is_one(&self) -> bool {
        self.services.len() == 1 && self.services.values().all(|places| places.len() == 1)
    }

    /// Whether a connection can match the rule and one of these; or it would take long to say.
    fn may_meet(&self, rule: &EgressRule) -> bool {
        let to = destination(rule);
        if self.kind == kind(rule) {
            // Another service of the same kind is never the same connection.
            return self.services.get(&service(rule)).is_some_and(|places| has_any_of(places, to));
        }
        self.services.len() > PATIENCE
            || self
                .services
                .iter()
                .any(|(it, places)| shared(*it, service(rule)) && has_any_of(places, to))
    }
}

/// Whether a connection can be to both.
fn shared(one: Service<'_>, other: Service<'_>) -> bool {
    let any = [one.0, other.0].contains(&RuleProtocol::All);
    let ports = one.1.is_empty() || other.1.is_empty() || !one.1.is_disjoint(other.1);
    (any || one.0 == other.0) && ports
}

/// Whether a range meets one of these, of which none meets another: only its neighbours can.
fn has_any_of(places: &BTreeMap<Cidr, usize>, range: Cidr) -> bool {
    let begin = range.network();
    let before = places.range(..=Cidr::new(begin, 32)).next_back();
    let next = places.range(range..).next();
    before.is_some_and(|(before, _)| before.contains(begin))
        || next.is_some_and(|(next, _)| range.contains(next.network()))
}

fn service(rule: &EgressRule) -> Service<'_> {
    (rule.protocol, &rule.ports)
}

fn kind(rule: &EgressRule) -> Kind<'_> {
    match (rule.protocol, rule.ports.len()) {
        (RuleProtocol::All, 0) => Kind::Destination,
        (_, 0) => Kind::Protocol,
        (RuleProtocol::Tcp | RuleProtocol::Udp, 1) => Kind::Port,
        _ => Kind::Ports(service(rule)),
    }
}

fn destination(rule: &EgressRule) -> Cidr {
    rule.to.unwrap_or(EVERYWHERE)
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_set, vec};
    use proptest::option;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::policy::{Action, EgressPolicy, Flow, FlowProtocol};

    fn rule(action: Action, to: &str, protocol: RuleProtocol, ports: &[u16]) -> EgressRule {
        let to = Some(to.parse().unwrap());
        EgressRule { action, to, protocol, ports: ports.iter().copied().collect(), comment: None }
    }

    fn places(rules: &[EgressRule]) -> Vec<Vec<usize>> {
        let places = |group: &RuleGroup<'_>| {
            let mut places: Vec<_> = group.flows().map(|(_, place)| place).collect();
            places.sort_unstable();
            places
        };
        groups(rules).iter().map(places).collect()
    }

    #[test]
    fn rules_that_do_the_same_are_one_group() {
        use Action::{Allow, Deny};
        use RuleProtocol::{All, Icmp, Tcp, Udp};
        let web = |to| rule(Allow, to, Tcp, &[80, 443]);
        let names = |to| rule(Allow, to, Udp, &[53]);
        // In turn, as they cannot meet.
        let rules = [web("10.1.0.0/16"), names("10.1.0.1"), web("10.2.0.0/16"), names("10.2.0.1")];
        assert_eq!(places(&rules), [vec![0, 2], vec![1, 3]]);
        // One counts what the other would.
        assert_eq!(places(&[web("10.0.0.0/8"), web("10.1.0.0/16")]), [vec![0], vec![1]]);
        assert_eq!(places(&[web("10.1.0.0/16"), web("10.0.0.0/8")]), [vec![0], vec![1]]);
        assert_eq!(places(&[web("10.1.0.0/16"), web("10.1.0.0/16")]), [vec![0], vec![1]]);
        // What is between decides some of it.
        let deny = rule(Deny, "10.2.0.0/24", All, &[]);
        let rules = [web("10.1.0.0/16"), deny.clone(), web("10.2.0.0/16")];
        assert_eq!(places(&rules), [vec![0], vec![1], vec![2]]);
        assert_eq!(places(&[web("10.1.0.0/16"), deny, web("10.3.0.0/16")]), [vec![0, 2], vec![1]]);
        // Different services; another action is another group.
        let rules = [
            rule(Deny, "10.0.0.0/8", Icmp, &[]),
            rule(Allow, "10.1.0.2", Udp, &[]),
            rule(Deny, "10.0.0.0/8", Tcp, &[]),
            rule(Deny, "10.1.0.4", Udp, &[80]),
            rule(Deny, "10.0.0.0/8", Udp, &[443]),
        ];
        assert_eq!(places(&rules), [vec![0, 2], vec![1], vec![3, 4]]);
        assert_eq!(places(&rules[2..]), [vec![0], vec![1, 2]]);
    }

    #[test]
    fn a_group_says_what_its_rules_have_in_common() {
        let rule = |to, protocol, port: u16| rule(Action::Deny, to, protocol, &[port]);
        let (tcp, udp) = (RuleProtocol::Tcp, RuleProtocol::Udp);
        let of = |rules: &[EgressRule]| {
            let groups = groups(rules);
            assert_eq!(groups.len(), 1);
            let (protocol, ports) = groups[0].common();
            let flows: Vec<_> =
                groups[0].flows().map(|(flow, _)| (flow.protocol, flow.port)).collect();
            (protocol, ports.and_then(|ports| ports.first().copied()), flows)
        };
        assert_eq!(
            of(&[rule("10.0.0.1", tcp, 80), rule("10.0.0.2", tcp, 80)]),
            (Some(tcp), Some(80), vec![(None, None); 2])
        );
        assert_eq!(
            of(&[rule("10.0.0.1", tcp, 80), rule("10.0.0.2", tcp, 81)]),
            (Some(tcp), None, vec![(None, Some(80)), (None, Some(81))])
        );
        assert_eq!(
            of(&[rule("10.0.0.1", tcp, 80), rule("10.0.0.1", udp, 80)]),
            (None, Some(80), vec![(Some(6), None), (Some(17), None)])
        );
    }

    #[test]
    fn a_rule_goes_back_only_so_far() {
        let other = |port: u16| rule(Action::Deny, "10.0.0.0/8", RuleProtocol::Tcp, &[port, 9]);
        let web = |to| rule(Action::Allow, to, RuleProtocol::Udp, &[443]);
        let rules = |between: u16| {
            let mut rules = vec![web("10.1.0.0/16")];
            rules.extend((10..10 + between).map(other));
            rules.push(web("10.2.0.0/16"));
            rules
        };
        assert_eq!(groups(&rules(63)).len(), 64);
        assert_eq!(groups(&rules(64)).len(), 66);
    }

    fn any_rule() -> impl Strategy<Value = EgressRule> {
        let action = select(&[Action::Allow, Action::Deny][..]);
        let network = select(vec![0_u32, 0x0a01_0000, 0x0a01_0001, 0x0a02_0000, 0xffff_ffff]);
        let prefix = select(vec![0_u8, 8, 15, 16, 31, 32]);
        let to =
            (network, prefix).prop_map(|(it, prefix)| Cidr::new(Ipv4Addr::from_bits(it), prefix));
        let protocol = select(vec![RuleProtocol::All, RuleProtocol::Tcp, RuleProtocol::Udp]);
        let ports = btree_set(select(vec![53_u16, 80, 443]), 0..3);
        (action, option::weighted(0.9, to), protocol, ports).prop_map(
            |(action, to, protocol, mut ports)| {
                if protocol == RuleProtocol::All {
                    ports.clear();
                }
                EgressRule { action, to, protocol, ports, comment: None }
            },
        )
    }

    fn any_flow() -> impl Strategy<Value = Flow> {
        let to = select(vec![1_u32, 0x0a01_0000, 0x0a01_0001, 0x0a01_0101, 0x0a02_0000, u32::MAX]);
        let port = select(vec![22_u16, 53, 80, 443]);
        let protocol = (0..3, port).prop_map(|(kind, port)| match kind {
            0 => FlowProtocol::Tcp(port),
            1 => FlowProtocol::Udp(port),
            _ => FlowProtocol::Icmp,
        });
        (to, protocol).prop_map(|(to, protocol)| Flow { to: Ipv4Addr::from_bits(to), protocol })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

        #[test]
        fn each_connection_is_decided_by_the_same_rule(
            rules in vec(any_rule(), 0..12),
            flows in vec(any_flow(), 20),
        ) {
            let policy = EgressPolicy { default_action: None, rules };
            let groups = groups(&policy.rules);
            for flow in flows {
                let of_group = |group: &RuleGroup<'_>| {
                    let (protocol, ports) = group.common();
                    let mut flows = group.flows();
                    let found = flows.find(|(range, _)| {
                        let protocols = [RuleProtocol::All, RuleProtocol::Tcp, RuleProtocol::Udp];
                        let own = protocols.into_iter().find(|it| it.number() == range.protocol);
                        let rule = EgressRule {
                            action: if group.decision == Decision::Denied {
                                Action::Deny
                            } else {
                                Action::Allow
                            },
                            to: Some(range.to),
                            protocol: protocol.or(own).unwrap(),
                            ports: ports.cloned().unwrap_or_else(|| range.port.into_iter().collect()),
                            comment: None,
                        };
                        rule.matches(flow)
                    });
                    found.map(|(_, place)| place)
                };
                let decided = groups.iter().find_map(of_group);
                prop_assert_eq!(decided, policy.decide(flow).1, "{:?}: {:?}", flow, &groups);
            }
        }
    }
}
