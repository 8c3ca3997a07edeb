//! What a guest adds to the rules of its network: elements of sets; and with a policy of its own a chain, which
//! guests with the same one share.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use sha2::{Digest, Sha256};

use super::bound_rules;
use super::egress_chain::egress_rules;
use super::egress_policy::EgressPolicy;
use super::guest_bounds::GuestBounds;
use super::published_port::{PublishedPort, Transport};
use crate::nft::{Action, Chain, Element, Family, Field, Set, SetData};
use crate::{InterfaceName, MacAddress};

/// What a guest's published ports are known by.
pub(super) const OPEN: [Field; 3] = [Field::IpDestination, Field::Protocol, Field::DestinationPort];

/// Where packets go to that a guest's policy opens.
pub(super) const OPENED: &str = "opened";
/// By what a guest's packets to its resolvers are known.
pub(super) const RESOLVERS: [Field; 4] =
    [Field::IpSource, Field::IpDestination, Field::Protocol, Field::DestinationPort];
/// DNS.
const NAMES: u16 = 53;

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
    /// What it may take of the host's tables, where that is not what its network says.
    pub bounds: Option<GuestBounds>,
    /// Whom it was told to ask for names: it may, wherever they are beyond the host.
    pub resolvers: BTreeSet<Ipv4Addr>,
}

impl GuestRules {
    /// The chain of a policy: the same for all guests that have the same one.
    #[must_use]
    pub fn chain_of(policy: &EgressPolicy) -> Chain {
        Chain {
            name: Self::chain_name(policy),
            base: None,
            // Where the network's own policy decides, and nothing else.
            rules: egress_rules(policy, &Action::Goto(OPENED.to_owned())),
        }
    }

    /// The chains that it needs besides its network's, each after those that it leads to.
    #[must_use]
    pub fn own_chains(&self) -> Vec<Chain> {
        let policy = self.egress.as_ref().map(Self::chain_of);
        let bounds = self.bounds.into_iter().flat_map(|it| it.chains_of().into_iter().rev());
        policy.into_iter().chain(bounds).collect()
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
        let bounds = self.bounds.iter().map(|bounds| {
            let [first, _] = bounds.chain_names();
            Element::policy(self.address, &first)
        });
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
            (bound_rules::OWN, bounds.collect()),
            ("open", open.collect()),
            ("published", published(false)),
            ("published_anywhere", published(true)),
            ("resolvers", self.resolver_elements()),
        ]
    }

    fn resolver_elements(&self) -> Vec<Element> {
        let both = [Transport::Tcp, Transport::Udp];
        let of = |resolver: &Ipv4Addr| {
            let resolver = *resolver;
            both.map(|protocol| Element::resolver(self.address, resolver, protocol, NAMES))
        };
        self.resolvers.iter().flat_map(of).collect()
    }

    pub(super) fn packet_sets(guests: &[Self]) -> Vec<Set> {
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
            set(bound_rules::OWN, &[Field::IpSource], SetData::Verdict),
            set("open", &OPEN, SetData::None),
            set("published", &OPEN, SetData::Target),
            set("published_anywhere", &OPEN[1..], SetData::Target),
            set("resolvers", &RESOLVERS, SetData::None),
        ]
    }
}
