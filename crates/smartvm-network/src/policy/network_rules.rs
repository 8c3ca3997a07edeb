//! From policy to rules: a pure function.

use std::net::Ipv4Addr;

use sha2::{Digest, Sha256};

use super::cidr::Cidr;
use super::egress_policy::{Action as PolicyAction, EgressPolicy, RuleProtocol};
use super::isolation::Isolation;
use super::published_port::PublishedPort;
use super::rule_groups::{RuleGroup, groups};
use crate::nft::{
    Action, Base, Chain, ChainKind, Element, Family, Field, Hook, Match, Rule, Ruleset, Set,
    SetData, Table,
};
use crate::{InterfaceName, MacAddress, Subnet, names};

/// `NF_IP_PRI_RAW`: before connections are tracked.
const RAW: i32 = -300;
/// Before what other programs usually do there, so that what is closed is closed whatever they say.
const EARLY: i32 = -10;
/// `NF_IP_PRI_NAT_DST` and `NF_IP_PRI_NAT_SRC`.
const DESTINATION_NAT: i32 = -100;
const SOURCE_NAT: i32 = 100;

const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
/// From where a DHCP server answers.
const DHCP_SERVER: u16 = 67;
const UDP: u8 = 17;

const LOOPBACK: Cidr = Cidr::new(Ipv4Addr::new(127, 0, 0, 0), 8);
const LINK_LOCAL: Cidr = Cidr::new(Ipv4Addr::new(169, 254, 0, 0), 16);
const METADATA: Cidr = Cidr::new(Ipv4Addr::new(169, 254, 169, 254), 32);

const BROADCAST: Cidr = Cidr::new(Ipv4Addr::BROADCAST, 32);
const MULTICAST: Cidr = Cidr::new(Ipv4Addr::new(224, 0, 0, 0), 4);

/// What a guest's frames are compared with.
const IDENTITY: [Field; 3] = [Field::InterfaceIn, Field::EtherSource, Field::IpSource];
const OPEN: [Field; 3] = [Field::IpDestination, Field::Protocol, Field::DestinationPort];

/// All that the rules of a network say, but for what each guest adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkRules {
    /// The bridge, by which the network goes.
    pub network: InterfaceName,
    /// The addresses of its guests.
    pub subnet: Subnet,
    /// What is opened.
    pub isolation: Isolation,
    /// Where all its guests may connect to.
    pub egress: EgressPolicy,
    /// The only link by which guests' packets may leave; none for any.
    pub only_out_of: Option<InterfaceName>,
}

/// What a guest adds to the sets of its network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestRules {
    /// Its link.
    pub tap: InterfaceName,
    /// The only hardware address that it may send from.
    pub mac: MacAddress,
    /// The only IPv4 address that it may send from.
    pub address: Ipv4Addr,
    /// Where it may connect to, of what its network may.
    pub egress: Option<EgressPolicy>,
    /// Which ports of the host lead to it.
    pub published: Vec<PublishedPort>,
}

impl NetworkRules {
    /// The families that there is a table in.
    pub const FAMILIES: [Family; 2] = [Family::Bridge, Family::Inet];

    /// All rules of the network with these guests. The number of rules depends on the policies,
    /// not on the number of guests.
    #[must_use]
    pub fn render(&self, guests: &[GuestRules]) -> Ruleset {
        Ruleset { tables: vec![self.frames(guests), self.packets(guests)] }
    }

    /// What passes the bridge: nobody speaks in another's name, nor past the host.
    fn frames(&self, guests: &[GuestRules]) -> Table {
        let group = names::link_group(&self.network);
        let from_guest = || vec![Match::GroupIn { group, not: false }];
        let to_guest = || vec![Match::GroupOut { group, not: false }];
        let in_guests = |fields: [Field; 3]| {
            vec![Match::InSet { fields: fields.into(), set: "guests".to_owned(), not: true }]
        };
        let mut among = Vec::new();
        if self.isolation.vm_to_vm {
            let both = [from_guest(), to_guest()].concat();
            among.push(Rule::new(both, goto("only_ip")));
        }
        among.push(Rule::drop([]));
        let chains = vec![
            base(
                "ingress",
                Hook::Prerouting,
                RAW,
                vec![Rule::new(from_guest(), goto("from_guest"))],
            ),
            chain(
                "from_guest",
                vec![
                    Rule::new([Match::EtherType(IPV4)], goto("ip_frames")),
                    Rule::new([Match::EtherType(ARP)], goto("arp_frames")),
                    Rule::drop([]),
                ],
            ),
            chain(
                "ip_frames",
                vec![
                    Rule::drop(in_guests(IDENTITY)),
                    Rule::drop([Match::Protocol(UDP), Match::SourcePort(DHCP_SERVER)]),
                    Rule::new([], Action::Accept),
                ],
            ),
            chain(
                "arp_frames",
                vec![
                    Rule::drop(in_guests([
                        Field::InterfaceIn,
                        Field::EtherSource,
                        Field::ArpSenderIp,
                    ])),
                    Rule::drop(in_guests([
                        Field::InterfaceIn,
                        Field::ArpSenderMac,
                        Field::ArpSenderIp,
                    ])),
                    Rule::new([], Action::Accept),
                ],
            ),
            base("to_host", Hook::Input, EARLY, vec![Rule::new(from_guest(), goto("only_ip"))]),
            base(
                "across",
                Hook::Forward,
                EARLY,
                vec![Rule::new(from_guest(), goto("among")), Rule::new(to_guest(), goto("among"))],
            ),
            chain("among", among),
            base("from_host", Hook::Output, EARLY, vec![Rule::new(to_guest(), goto("only_ip"))]),
            chain(
                "only_ip",
                vec![
                    Rule::new([Match::EtherType(IPV4)], Action::Accept),
                    Rule::new([Match::EtherType(ARP)], Action::Accept),
                    Rule::drop([]),
                ],
            ),
        ];
        let elements =
            guests.iter().map(|guest| Element::guest(&guest.tap, guest.mac, guest.address));
        let set = Set {
            name: "guests".to_owned(),
            key: IDENTITY.into(),
            data: SetData::None,
            elements: elements.collect(),
        };
        Table { family: Family::Bridge, name: names::table(&self.network), sets: vec![set], chains }
    }

    /// What passes the host.
    fn packets(&self, guests: &[GuestRules]) -> Table {
        let bridge = &self.network;
        let inside = || Match::InterfaceIn { name: bridge.clone(), not: false };
        let towards = || Match::InterfaceOut { name: bridge.clone(), not: false };
        let group = names::link_group(bridge);
        let mut chains = vec![
            base(
                "guard",
                Hook::Prerouting,
                RAW,
                vec![
                    // A link of ours that is on no bridge yet, or any more.
                    Rule::drop([Match::GroupIn { group, not: false }]),
                    Rule::new([inside()], goto("guard_guests")),
                ],
            ),
            chain("guard_guests", self.guard_guests()),
            base("input", Hook::Input, EARLY, vec![Rule::new([inside()], goto("to_host"))]),
            chain("to_host", self.to_host()),
            base(
                "forward",
                Hook::Forward,
                EARLY,
                vec![
                    Rule::new([inside()], goto("from_guests")),
                    Rule::new([towards()], goto("to_guests")),
                ],
            ),
            chain("from_guests", self.guests_outward(towards())),
            chain(
                "to_guests",
                vec![
                    Rule::drop([Match::Ipv4 { not: true }]),
                    Rule::new([Match::Established], Action::Accept),
                    Rule::new(
                        [
                            Match::DestinationChanged,
                            Match::InSet {
                                fields: OPEN.into(),
                                set: "open".to_owned(),
                                not: false,
                            },
                        ],
                        Action::Accept,
                    ),
                    Rule::drop([]),
                ],
            ),
            // What the host would say by a TAP itself, past the bridge: of IPv6, most of all.
            base(
                "from_host",
                Hook::Output,
                EARLY,
                vec![Rule::drop([Match::GroupOut { group, not: false }])],
            ),
            self.nat("outward", Hook::Postrouting, SOURCE_NAT, vec![self.masquerade()]),
            self.nat("publish", Hook::Prerouting, DESTINATION_NAT, {
                let not_inside = Match::InterfaceIn { name: bridge.clone(), not: true };
                redirects(&not_inside)
            }),
            self.nat("publish_to_host", Hook::Output, DESTINATION_NAT, {
                redirects(&Match::Destination { range: LOOPBACK, not: true })
            }),
            chain("egress", egress_rules(&self.egress, &Action::Accept)),
        ];
        let mut own: Vec<Chain> = Vec::new();
        for policy in guests.iter().filter_map(|guest| guest.egress.as_ref()) {
            let chain = GuestRules::chain_of(policy);
            if own.iter().all(|other| other.name != chain.name) {
                own.push(chain);
            }
        }
        own.sort_by(|a, b| a.name.cmp(&b.name));
        chains.extend(own);
        Table {
            family: Family::Inet,
            name: names::table(bridge),
            sets: GuestRules::packet_sets(guests),
            chains,
        }
    }

    /// Before anything else looks at a packet of a guest.
    fn guard_guests(&self) -> Vec<Rule> {
        let subnet = Cidr::new(self.subnet.network(), self.subnet.prefix());
        let to = |range| Match::Destination { range, not: false };
        let mut rules = vec![
            Rule::drop([Match::Ipv4 { not: true }]),
            Rule::drop([Match::Source { range: subnet, not: true }]),
            Rule::drop([to(LOOPBACK)]),
        ];
        if self.isolation.metadata {
            rules.push(Rule::new([to(METADATA)], Action::Accept));
        }
        rules.push(Rule::drop([to(LINK_LOCAL)]));
        rules
    }

    fn to_host(&self) -> Vec<Rule> {
        let mut rules = vec![Rule::new([Match::Established], Action::Accept)];
        for service in &self.isolation.host_services {
            let matches = [
                Match::Protocol(service.protocol.number()),
                Match::DestinationPorts([service.port].into()),
            ];
            rules.push(Rule { matches: matches.into(), counter: true, action: Action::Accept });
        }
        rules.push(Rule::drop([]));
        rules
    }

    fn guests_outward(&self, towards: Match) -> Vec<Rule> {
        let mut rules = Vec::new();
        if self.isolation.vm_to_vm {
            // Guests alone: other links may be on the bridge. What is to all of them comes here from
            // the bridge, where frames are led through these rules as well (`bridge-nf-call-iptables`).
            let is_guest =
                |field| Match::InSet { fields: vec![field], set: "guests".to_owned(), not: false };
            let from = [towards.clone(), is_guest(Field::IpSource)];
            let to = |range| Match::Destination { range, not: false };
            let everybody = [Cidr::new(self.subnet.broadcast(), 32), BROADCAST, MULTICAST].map(to);
            for to in [is_guest(Field::IpDestination)].into_iter().chain(everybody) {
                rules.push(Rule::new([&from[..], &[to]].concat(), Action::Accept));
            }
        }
        rules.push(Rule::drop([towards]));
        if let Some(name) = &self.only_out_of {
            // Before what is established: a connection must not go on another way.
            rules.push(Rule::drop([Match::InterfaceOut { name: name.clone(), not: true }]));
        }
        rules.push(Rule::new([Match::Established], Action::Accept));
        let fields = vec![Field::IpSource];
        rules.push(Rule::new([], Action::Lookup { fields, map: "policies".to_owned() }));
        rules.push(Rule::new([], goto("egress")));
        rules
    }

    fn masquerade(&self) -> Rule {
        let range = Cidr::new(self.subnet.network(), self.subnet.prefix());
        Rule::new(
            [
                Match::Ipv4 { not: false },
                Match::Source { range, not: false },
                Match::InterfaceOut { name: self.network.clone(), not: true },
            ],
            Action::Masquerade,
        )
    }

    #[expect(clippy::unused_self, reason = "it stands among the others")]
    fn nat(&self, name: &str, hook: Hook, priority: i32, rules: Vec<Rule>) -> Chain {
        let base = Base { kind: ChainKind::Nat, hook, priority };
        Chain { name: name.to_owned(), base: Some(base), rules }
    }
}

impl GuestRules {
    /// The chain of a policy: the same for all guests that have the same one.
    #[must_use]
    pub fn chain_of(policy: &EgressPolicy) -> Chain {
        Chain {
            name: Self::chain_name(policy),
            base: None,
            rules: egress_rules(policy, &Action::Return),
        }
    }

    /// The name of the chain of a policy.
    #[must_use]
    pub fn chain_name(policy: &EgressPolicy) -> String {
        let text = serde_json::to_string(policy).expect("a policy is plain data");
        let hash = Sha256::digest(text.as_bytes());
        let digits: String = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("egress-{digits}")
    }

    /// What a guest adds to each set, by the set's name.
    #[must_use]
    pub fn elements(&self) -> Vec<(Family, &'static str, Vec<Element>)> {
        let mut added = vec![(
            Family::Bridge,
            "guests",
            vec![Element::guest(&self.tap, self.mac, self.address)],
        )];
        added.extend(self.packet_elements().into_iter().map(|(set, it)| (Family::Inet, set, it)));
        added.retain(|(.., elements)| !elements.is_empty());
        added
    }

    fn packet_elements(&self) -> Vec<(&'static str, Vec<Element>)> {
        let policy = self.egress.as_ref().map(Self::chain_name);
        let policies = policy.iter().map(|chain| Element::policy(self.address, chain)).collect();
        // Two ports of the host may lead to the same port of the guest.
        let mut open: Vec<_> =
            self.published.iter().map(|port| (port.protocol, port.guest_port)).collect();
        open.sort_unstable();
        open.dedup();
        let open =
            open.iter().map(|(protocol, port)| Element::open(self.address, *protocol, *port));
        let published = |everywhere: bool| {
            let ports = self.published.iter();
            let ports = ports.filter(|port| port.host_address.is_unspecified() == everywhere);
            ports
                .map(|port| {
                    let host = Some(port.host_address).filter(|_| !everywhere);
                    let target = (self.address, port.guest_port);
                    Element::published(host, port.protocol, port.host_port, target)
                })
                .collect()
        };
        vec![
            ("guests", vec![Element::address(self.address)]),
            ("policies", policies),
            ("open", open.collect()),
            ("published", published(false)),
            ("published_anywhere", published(true)),
        ]
    }

    fn packet_sets(guests: &[Self]) -> Vec<Set> {
        let set = |name: &str, key: &[Field], data| {
            let of = |guest: &Self| {
                let all = guest.packet_elements().into_iter();
                all.filter(|(set, _)| *set == name).flat_map(|(_, elements)| elements)
            };
            let elements = guests.iter().flat_map(of).collect();
            Set { name: name.to_owned(), key: key.into(), data, elements }
        };
        vec![
            set("guests", &[Field::IpSource], SetData::None),
            set("policies", &[Field::IpSource], SetData::Verdict),
            set("open", &OPEN, SetData::None),
            set("published", &OPEN, SetData::Target),
            set("published_anywhere", &OPEN[1..], SetData::Target),
        ]
    }
}

fn goto(chain: &str) -> Action {
    Action::Goto(chain.to_owned())
}

fn chain(name: &str, rules: Vec<Rule>) -> Chain {
    Chain { name: name.to_owned(), base: None, rules }
}

fn base(name: &str, hook: Hook, priority: i32, rules: Vec<Rule>) -> Chain {
    let base = Base { kind: ChainKind::Filter, hook, priority };
    Chain { name: name.to_owned(), base: Some(base), rules }
}

/// Connections to published ports, of whoever `from` is about.
fn redirects(from: &Match) -> Vec<Rule> {
    let to_host = || vec![Match::Ipv4 { not: false }, from.clone(), Match::ToHost];
    let redirect = |fields: &[Field], map: &str| Action::Redirect {
        fields: fields.into(),
        map: map.to_owned(),
    };
    vec![
        Rule::new(to_host(), redirect(&OPEN, "published")),
        Rule::new(to_host(), redirect(&OPEN[1..], "published_anywhere")),
    ]
}

/// A policy's rules; what it allows is left to `allowed`. Each counts, also where several are one in the kernel.
fn egress_rules(policy: &EgressPolicy, allowed: &Action) -> Vec<Rule> {
    let action = |action: PolicyAction| match action {
        PolicyAction::Allow => allowed.clone(),
        PolicyAction::Deny => Action::Drop,
    };
    let rule = |group: &RuleGroup<'_>| {
        // A set counts for each of them.
        let counter = group.is_one();
        Rule { matches: egress_matches(group), counter, action: action(group.action) }
    };
    let mut rules: Vec<_> = groups(&policy.rules).iter().map(rule).collect();
    let action = action(policy.default_action);
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

#[cfg(test)]
mod tests;
