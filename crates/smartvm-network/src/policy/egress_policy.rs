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
/// The default is not to speak: then what is public is allowed, and what is the host's neighbourhood is as
/// [`Isolation::lan`](super::Isolation::lan) says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EgressPolicy {
    /// What happens to what no rule matches; none leaves it to others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_action: Option<Action>,
    /// In order.
    pub rules: Vec<EgressRule>,
}

/// What a policy says of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// It may be made, wherever it leads to: a rule names a range that it leads to, or everything is allowed by word.
    Opened,
    /// It may be made, unless it leads into the host's neighbourhood, of which nothing is said.
    Allowed,
    /// It may not be made.
    Denied,
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
    /// What it says of what it matches. Only who names a range opens what is closed there by default.
    #[must_use]
    pub fn decision(&self) -> Decision {
        match self.action {
            Action::Deny => Decision::Denied,
            Action::Allow if self.to.is_some_and(|to| to.prefix() > 0) => Decision::Opened,
            Action::Allow => Decision::Allowed,
        }
    }

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
    /// What it says of a connection, and by which rule; none is the default.
    #[must_use]
    pub fn decide(&self, flow: Flow) -> (Decision, Option<usize>) {
        match self.rules.iter().position(|rule| rule.matches(flow)) {
            Some(index) => (self.rules[index].decision(), Some(index)),
            None => (self.default_decision(), None),
        }
    }

    /// What it says of what no rule matches.
    #[must_use]
    pub const fn default_decision(&self) -> Decision {
        match self.default_action {
            Some(Action::Allow) => Decision::Opened,
            None => Decision::Allowed,
            Some(Action::Deny) => Decision::Denied,
        }
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
            default_action: Some(Action::Deny),
            rules: vec![
                rule(Action::Deny, Some("10.0.0.7"), RuleProtocol::All, &[]),
                rule(Action::Allow, Some("10.0.0.0/8"), RuleProtocol::Tcp, &[80, 443]),
                rule(Action::Allow, None, RuleProtocol::Icmp, &[]),
            ],
        };
        let flow = |to: [u8; 4], protocol| Flow { to: to.into(), protocol };
        let decide = |to, protocol| policy.decide(flow(to, protocol));
        assert_eq!(decide([10, 0, 0, 7], FlowProtocol::Tcp(443)), (Decision::Denied, Some(0)));
        assert_eq!(decide([10, 0, 0, 8], FlowProtocol::Tcp(443)), (Decision::Opened, Some(1)));
        assert_eq!(decide([10, 0, 0, 8], FlowProtocol::Udp(443)), (Decision::Denied, None));
        assert_eq!(decide([10, 0, 0, 8], FlowProtocol::Tcp(22)), (Decision::Denied, None));
        assert_eq!(decide([1, 1, 1, 1], FlowProtocol::Icmp), (Decision::Allowed, Some(2)));
        assert_eq!(decide([1, 1, 1, 1], FlowProtocol::Other(47)), (Decision::Denied, None));
    }

    #[test]
    fn only_who_names_a_range_or_says_allow_opens_what_is_closed_by_default() {
        let flow = Flow { to: [10, 0, 0, 7].into(), protocol: FlowProtocol::Tcp(443) };
        let decide = |default_action, rules: &[EgressRule]| {
            EgressPolicy { default_action, rules: rules.into() }.decide(flow).0
        };
        let web = |to| rule(Action::Allow, to, RuleProtocol::Tcp, &[443]);
        assert_eq!(decide(None, &[]), Decision::Allowed);
        assert_eq!(decide(Some(Action::Allow), &[]), Decision::Opened);
        assert_eq!(decide(Some(Action::Deny), &[]), Decision::Denied);
        assert_eq!(decide(None, &[web(None)]), Decision::Allowed);
        assert_eq!(decide(None, &[web(Some("0.0.0.0/0"))]), Decision::Allowed);
        assert_eq!(decide(Some(Action::Deny), &[web(Some("10.0.0.0/8"))]), Decision::Opened);
    }
}
