//! Where guests may connect to.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::cidr::Cidr;

/// What happens to a new connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// It is let through.
    #[default]
    Allow,
    /// Its packets are dropped.
    Deny,
}

/// Which packets a rule is about.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub enum RuleProtocol {
    /// All of IPv4.
    #[default]
    All,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP.
    Icmp,
}

impl RuleProtocol {
    /// Its number in an IPv4 header; none for all.
    #[must_use]
    pub const fn number(self) -> Option<u8> {
        match self {
            Self::All => None,
            Self::Tcp => Some(6),
            Self::Udp => Some(17),
            Self::Icmp => Some(1),
        }
    }
}

/// One rule. What it leaves open matches everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EgressRule {
    /// What happens to what matches.
    pub action: Action,
    /// The destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Cidr>,
    /// The protocol.
    #[serde(default)]
    pub protocol: RuleProtocol,
    /// The destination ports, of TCP or UDP; empty for all.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub ports: BTreeSet<u16>,
    /// For people. Not given to the kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// Which new connections guests may make; the first rule that matches decides.
///
/// The default is to allow all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EgressPolicy {
    /// What happens to what no rule matches.
    pub default_action: Action,
    /// In order.
    pub rules: Vec<EgressRule>,
}

/// What a packet says of the connection it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Where to.
    pub to: Ipv4Addr,
    /// By what.
    pub protocol: FlowProtocol,
}

/// The protocol of a connection, with the destination port where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FlowProtocol {
    /// TCP to a port.
    Tcp(u16),
    /// UDP to a port.
    Udp(u16),
    /// ICMP.
    Icmp,
    /// Another, by its number.
    Other(u8),
}

impl EgressRule {
    /// Whether the rule is about a connection.
    #[must_use]
    pub fn matches(&self, flow: Flow) -> bool {
        let port = match (self.protocol, flow.protocol) {
            (RuleProtocol::All, FlowProtocol::Tcp(port) | FlowProtocol::Udp(port))
            | (RuleProtocol::Tcp, FlowProtocol::Tcp(port))
            | (RuleProtocol::Udp, FlowProtocol::Udp(port)) => Some(port),
            (RuleProtocol::All, _) | (RuleProtocol::Icmp, FlowProtocol::Icmp) => None,
            _ => return false,
        };
        self.to.is_none_or(|to| to.contains(flow.to))
            && (self.ports.is_empty() || port.is_some_and(|port| self.ports.contains(&port)))
    }
}

impl EgressPolicy {
    /// What happens to a connection, and by which rule; none is the default.
    #[must_use]
    pub fn decide(&self, flow: Flow) -> (Action, Option<usize>) {
        match self.rules.iter().position(|rule| rule.matches(flow)) {
            Some(index) => (self.rules[index].action, Some(index)),
            None => (self.default_action, None),
        }
    }

    /// Whether the connection may be made.
    #[must_use]
    pub fn allows(&self, flow: Flow) -> bool {
        self.decide(flow).0 == Action::Allow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(action: Action, to: Option<&str>, protocol: RuleProtocol, ports: &[u16]) -> EgressRule {
        let to = to.map(|to| to.parse().unwrap());
        EgressRule { action, to, protocol, ports: ports.iter().copied().collect(), comment: None }
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let policy = EgressPolicy {
            default_action: Action::Deny,
            rules: vec![
                rule(Action::Deny, Some("10.0.0.7"), RuleProtocol::All, &[]),
                rule(Action::Allow, Some("10.0.0.0/8"), RuleProtocol::Tcp, &[80, 443]),
                rule(Action::Allow, None, RuleProtocol::Icmp, &[]),
            ],
        };
        let flow = |to: [u8; 4], protocol| Flow { to: to.into(), protocol };
        let decide = |to, protocol| policy.decide(flow(to, protocol));
        assert_eq!(decide([10, 0, 0, 7], FlowProtocol::Tcp(443)), (Action::Deny, Some(0)));
        assert_eq!(decide([10, 0, 0, 8], FlowProtocol::Tcp(443)), (Action::Allow, Some(1)));
        assert_eq!(decide([10, 0, 0, 8], FlowProtocol::Udp(443)), (Action::Deny, None));
        assert_eq!(decide([10, 0, 0, 8], FlowProtocol::Tcp(22)), (Action::Deny, None));
        assert_eq!(decide([1, 1, 1, 1], FlowProtocol::Icmp), (Action::Allow, Some(2)));
        assert_eq!(decide([1, 1, 1, 1], FlowProtocol::Other(47)), (Action::Deny, None));
        assert!(EgressPolicy::default().allows(flow([1, 1, 1, 1], FlowProtocol::Other(47))));
    }
}
