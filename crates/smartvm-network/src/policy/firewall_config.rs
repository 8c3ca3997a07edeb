//! The policy as it is written down.

use serde::{Deserialize, Serialize};

use super::cidr::Cidr;
use super::egress_policy::{Action, EgressPolicy, EgressRule, RuleProtocol};

/// The section `firewall`, of a manager or of a VM, as it was written.
///
/// ```
/// use smartvm_network::policy::FirewallConfig;
///
/// let policy = FirewallConfig::from_json(
///     r#"{"egress": {"defaultAction": "deny", "rules": [
///         {"action": "allow", "to": "10.0.0.0/8", "protocol": "tcp", "ports": [80, 443]}]}}"#,
/// )?;
/// assert_eq!(policy.rules.len(), 1);
/// # Ok::<(), smartvm_network::policy::InvalidFirewallConfig>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FirewallConfig {
    /// What guests may connect to; absent, everything public that isolation leaves open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<EgressConfig>,
}

/// What guests may connect to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EgressConfig {
    /// `allow` or `deny`: what happens to what no rule matches. Absent, what is public is allowed, and what is the
    /// host's neighbourhood is closed unless the network opens it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_action: Option<String>,
    /// In order; the first that matches decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<EgressRuleConfig>,
}

/// One rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EgressRuleConfig {
    /// `allow` or `deny`.
    #[serde(default)]
    pub action: String,
    /// An IPv4 address, or a range such as `10.0.0.0/8`; absent for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// `all` (the default), `tcp`, `udp` or `icmp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// One or several destination ports of TCP or UDP; absent for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<PortsConfig>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// One port, or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PortsConfig {
    /// One.
    One(i64),
    /// Several.
    Several(Vec<i64>),
}

/// A section `firewall` that breaks rules, with each breach. Code `INVALID_FIREWALL_CONFIG`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the firewall's configuration is invalid: {}", breaches.join("; "))]
pub struct InvalidFirewallConfig {
    breaches: Vec<String>,
}

impl InvalidFirewallConfig {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "INVALID_FIREWALL_CONFIG"
    }

    /// Every broken rule, each with where it stands.
    #[must_use]
    pub fn breaches(&self) -> &[String] {
        &self.breaches
    }
}

impl FirewallConfig {
    /// Reads and checks the section.
    ///
    /// # Errors
    /// When it is not JSON, has unknown keys, or breaks rules.
    pub fn from_json(text: &str) -> Result<EgressPolicy, InvalidFirewallConfig> {
        let invalid =
            |error: serde_json::Error| InvalidFirewallConfig { breaches: vec![error.to_string()] };
        // An object, where a derived reader would take a list of its values as well, and no key in it twice: of two
        // policies it would be the last.
        let object = smartvm_json::object(text.as_bytes()).map_err(invalid)?;
        let config = Self::deserialize(serde_json::Value::Object(object)).map_err(invalid)?;
        config.to_policy()
    }

    /// Checks the section, and reports every breach.
    ///
    /// # Errors
    /// When it breaks rules.
    pub fn to_policy(&self) -> Result<EgressPolicy, InvalidFirewallConfig> {
        let mut breaches = Vec::new();
        let mut policy = EgressPolicy::default();
        if let Some(egress) = &self.egress {
            if let Some(text) = &egress.default_action {
                let at = "firewall.egress.defaultAction";
                policy.default_action = Some(action(text, at, &mut breaches));
            }
            for (index, config) in egress.rules.iter().enumerate() {
                let at = format!("firewall.egress.rules[{index}]");
                policy.rules.push(rule(config, &at, &mut breaches));
            }
        }
        if breaches.is_empty() { Ok(policy) } else { Err(InvalidFirewallConfig { breaches }) }
    }
}

fn action(text: &str, at: &str, breaches: &mut Vec<String>) -> Action {
    match text {
        "allow" => Action::Allow,
        "deny" => Action::Deny,
        _ => {
            breaches.push(format!("{at} must be `allow` or `deny`"));
            Action::Deny
        }
    }
}

fn rule(config: &EgressRuleConfig, at: &str, breaches: &mut Vec<String>) -> EgressRule {
    let action = action(&config.action, &format!("{at}.action"), breaches);
    let to = config.to.as_ref().and_then(|text| match text.parse::<Cidr>() {
        Ok(to) => Some(to),
        Err(_) => {
            breaches.push(format!("{at}.to must be an IPv4 address or a range such as 10.0.0.0/8"));
            None
        }
    });
    let protocol = match config.protocol.as_deref() {
        None | Some("all") => RuleProtocol::All,
        Some("tcp") => RuleProtocol::Tcp,
        Some("udp") => RuleProtocol::Udp,
        Some("icmp") => RuleProtocol::Icmp,
        Some(_) => {
            breaches.push(format!("{at}.protocol must be `all`, `tcp`, `udp` or `icmp`"));
            RuleProtocol::All
        }
    };
    let listed = match &config.ports {
        None => &[][..],
        Some(PortsConfig::One(port)) => std::slice::from_ref(port),
        Some(PortsConfig::Several(ports)) => ports,
    };
    if config.ports.is_some() {
        if listed.is_empty() {
            breaches.push(format!("{at}.ports must not be empty"));
        }
        if !matches!(protocol, RuleProtocol::Tcp | RuleProtocol::Udp) {
            breaches.push(format!("{at}.ports need the protocol `tcp` or `udp`"));
        }
    }
    let port = |port: &i64| u16::try_from(*port).ok().filter(|port| *port > 0);
    let ports = listed.iter().filter_map(port).collect();
    if listed.iter().any(|listed| port(listed).is_none()) {
        breaches.push(format!("{at}.ports must be between 1 and 65535"));
    }
    EgressRule { action, to, protocol, ports, comment: config.comment.clone() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_policy_is_read_with_its_rules_in_order() {
        let policy = FirewallConfig::from_json(
            r#"{"egress":{"defaultAction":"deny","rules":[
                {"action":"allow","to":"1.1.1.1","protocol":"udp","ports":53,"comment":"names"},
                {"action":"deny","to":"10.0.0.0/8"},
                {"action":"allow","protocol":"tcp","ports":[443,80]}]}}"#,
        )
        .unwrap();
        assert_eq!(policy.default_action, Some(Action::Deny));
        assert_eq!(policy.rules[0].comment.as_deref(), Some("names"));
        assert_eq!(policy.rules[1].to.unwrap().to_string(), "10.0.0.0/8");
        assert_eq!(policy.rules[2].ports, [80, 443].into());
        assert_eq!(FirewallConfig::from_json("{}").unwrap(), EgressPolicy::default());
        assert_eq!(FirewallConfig::from_json(r#"{"egress":{}}"#).unwrap(), EgressPolicy::default());
    }

    #[test]
    fn every_breach_is_reported() {
        for (rule, expected) in [
            (r#"{"action":"reject"}"#, "action"),
            ("{}", "action"),
            (r#"{"action":"allow","to":"10.0.0.0/33"}"#, "to"),
            (r#"{"action":"allow","to":"10.0.0"}"#, "to"),
            (r#"{"action":"allow","to":"example.org"}"#, "to"),
            (r#"{"action":"allow","protocol":"sctp"}"#, "protocol"),
            (r#"{"action":"allow","protocol":"tcp","ports":0}"#, "ports"),
            (r#"{"action":"allow","protocol":"tcp","ports":[80,65536]}"#, "ports"),
            (r#"{"action":"allow","protocol":"tcp","ports":[]}"#, "ports"),
            (r#"{"action":"allow","protocol":"icmp","ports":[80]}"#, "ports"),
            (r#"{"action":"allow","ports":[80]}"#, "ports"),
        ] {
            let text = format!(r#"{{"egress":{{"rules":[{{"action":"allow"}},{rule}]}}}}"#);
            let error = FirewallConfig::from_json(&text).unwrap_err();
            assert_eq!(error.code(), "INVALID_FIREWALL_CONFIG");
            let start = format!("firewall.egress.rules[1].{expected}");
            assert!(error.breaches().iter().all(|it| it.starts_with(&start)), "{rule}: {error}");
        }
        for text in ["", "[]", r#"{"ingress":{}}"#, r#"{"egress":{"defaultAction":"drop"}}"#] {
            FirewallConfig::from_json(text).unwrap_err();
        }
        let both = r#"{"egress":{"defaultAction":"x","rules":[{"action":"y","to":"z"}]}}"#;
        assert_eq!(FirewallConfig::from_json(both).unwrap_err().breaches().len(), 3);
    }

    #[test]
    fn of_two_policies_the_last_does_not_win_in_silence() {
        let text = r#"{"egress":{"defaultAction":"deny"},"egress":{"defaultAction":"allow"}}"#;
        let error = FirewallConfig::from_json(text).unwrap_err();
        assert!(error.to_string().contains("`egress` stands there twice"), "{error}");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = FirewallConfig::from_json(&text);
        }
    }
}
