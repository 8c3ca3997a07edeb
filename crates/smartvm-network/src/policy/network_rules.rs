//! From policy to rules: a pure function.

use std::net::Ipv4Addr;

use super::bound_rules;
use super::cidr::Cidr;
use super::egress_chain::egress_rules;
use super::egress_policy::EgressPolicy;
use super::guest_bounds::GuestBounds;
use super::guest_rules::{GuestRules, OPEN, OPENED, RESOLVERS};
use super::isolation::Isolation;
use super::neighbourhood::Neighbourhood;
use crate::nft::{
    Action, Base, Chain, ChainKind, Element, Family, Field, FlowRange, Hook, Match, Rule, Ruleset,
    Set, SetData, Table,
};
use crate::{InterfaceName, Subnet, names};

/// `NF_IP_PRI_RAW`: before connections are tracked.
const RAW: i32 = -300;
/// The first that knows connections (`NF_IP_PRI_CONNTRACK` is one before), and before whoever leads a packet to
/// another destination, who can do so from `NF_IP_PRI_NAT_DST` on only.
const TRACKED: i32 = -199;
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
    /// What each of its guests may take of the host's tables.
    pub bounds: GuestBounds,
    /// The link to another network, in which the host's neighbourhood is not: what has its addresses there is
    /// that network's own affair.
    pub tunnel: Option<InterfaceName>,
    /// What is closed by default for being near the host.
    pub neighbourhood: Neighbourhood,
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
            // A port of the host that another program leads elsewhere, as Docker does with those that it publishes,
            // never comes to the hook `input`: what is to the host is decided while it still says so.
            base("led", Hook::Prerouting, TRACKED, vec![Rule::new([inside()], goto("led_guests"))]),
            chain("led_guests", self.led_guests()),
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
            // What a guest's policy has opened, the network's may close, and nothing else.
            chain(OPENED, vec![Rule::new([], jump("egress")), Rule::new([], Action::Accept)]),
            chain("unsaid", self.unsaid()),
        ];
        chains.extend(bound_rules::chains(self.bounds, bridge));
        let mut own: Vec<Chain> = Vec::new();
        for chain in guests.iter().flat_map(GuestRules::own_chains) {
            if own.iter().all(|other| other.name != chain.name) {
                own.push(chain);
            }
        }
        own.sort_by(|a, b| a.name.cmp(&b.name));
        chains.extend(own);
        Table {
            family: Family::Inet,
            name: names::table(bridge),
            sets: GuestRules::packet_sets(guests).into_iter().chain(bound_rules::sets()).collect(),
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
        // A cloud's resolver may be there.
        rules.push(Rule::new([to(LINK_LOCAL), to_resolver()], Action::Accept));
        rules.push(Rule::drop([to(LINK_LOCAL)]));
        rules
    }

    /// What policies allow, but do not open.
    fn unsaid(&self) -> Vec<Rule> {
        let mut rules = Vec::new();
        if !self.isolation.lan {
            if let Some(name) = &self.tunnel {
                let towards = Match::InterfaceOut { name: name.clone(), not: false };
                rules.push(Rule::new([towards], Action::Accept));
            }
            if self.isolation.metadata {
                let to = Match::Destination { range: METADATA, not: false };
                rules.push(Rule::new([to], Action::Accept));
            }
            rules.push(Rule::new([to_resolver()], Action::Accept));
            let flow = |to| FlowRange { protocol: None, port: None, to };
            let near = Match::Flows(self.neighbourhood.ranges().map(flow).collect());
            // Each of its ranges counts for itself.
            rules.push(Rule::new([near], Action::Drop));
        }
        rules.push(Rule::new([], Action::Accept));
        rules
    }

    /// What of guests somebody may lead elsewhere. Answers of guests to the host are established, so that this is
    /// no matter for the guard.
    fn led_guests(&self) -> Vec<Rule> {
        let mut rules = vec![Rule::new([Match::Established], Action::Accept)];
        // Counted when they arrive.
        rules.extend(self.services().map(|matches| Rule::new(matches, Action::Accept)));
        rules.push(Rule::drop([Match::ToHost]));
        rules
    }

    fn to_host(&self) -> Vec<Rule> {
        let mut rules = vec![Rule::new([Match::Established], Action::Accept)];
        let accept = |matches: [Match; 2]| Rule {
            matches: matches.into(),
            counter: true,
            action: Action::Accept,
        };
        rules.extend(self.services().map(accept));
        rules.push(Rule::drop([]));
        rules
    }

    fn services(&self) -> impl Iterator<Item = [Match; 2]> {
        self.isolation.host_services.iter().map(|service| {
            [
                Match::Protocol(service.protocol.number()),
                Match::DestinationPorts([service.port].into()),
            ]
        })
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
        rules.push(Rule::new([], jump("egress")));
        rules.push(Rule::new([], goto("unsaid")));
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

fn goto(chain: &str) -> Action {
    Action::Goto(chain.to_owned())
}

fn jump(chain: &str) -> Action {
    Action::Jump(chain.to_owned())
}

/// A guest asks for names whom it was told to ask.
fn to_resolver() -> Match {
    Match::InSet { fields: RESOLVERS.into(), set: "resolvers".to_owned(), not: false }
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

#[cfg(test)]
mod tests;
