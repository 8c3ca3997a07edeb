//! What is wrong with the text of a configuration, line by line, in words that hold none of it.

use std::fmt;

use thiserror::Error;

use super::field::{Field, Section};

/// A WireGuard configuration that breaks at least one rule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct InvalidWireGuardConfig {
    pub(super) breaches: Vec<ConfigBreach>,
}

/// One broken rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfigBreach {
    /// The line, counted from 1. None when something is missing from the whole text.
    pub line: Option<usize>,
    /// The rule.
    pub rule: ConfigRule,
}

/// A rule of the configuration. Its text repeats nothing of what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigRule {
    /// There is nothing but comments.
    #[error("the configuration is empty")]
    Empty,
    /// It is longer than any configuration needs to be.
    #[error("the configuration is larger than {limit} KiB")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// Neither a section nor `Field = value`.
    #[error("expected `[Interface]`, `[Peer]` or `Field = value`")]
    NotALine,
    /// A field stands above the first section.
    #[error("a field must follow `[Interface]` or `[Peer]`")]
    OutsideSection,
    /// Hook fields and `SaveConfig`.
    #[error("{0} is not allowed: it would run commands or change files of the host")]
    Unsafe(Field),
    /// The field belongs into the other section.
    #[error("{0} does not belong into [{1}]")]
    Misplaced(Field, Section),
    /// A field that nobody knows.
    #[error("unknown field in [{0}]")]
    Unknown(Section),
    /// A field that has one value was given twice.
    #[error("{0} is given a second time")]
    Repeated(Field),
    /// There is no value.
    #[error("{0} must not be empty")]
    NoValue(Field),
    /// The value does not have the field's form.
    #[error("{0} must be {form}", form = .0.form())]
    Malformed(Field),
    /// IPv6 within the tunnel.
    #[error("{0} must be IPv4: the subnet of the VMs has no IPv6 for the tunnel to carry")]
    Ipv6(Field),
    /// An address that no interface can have.
    #[error("Address must be one that an interface can have")]
    NotAssignable,
    /// Two peers with one key.
    #[error("another [Peer] has the same PublicKey")]
    SamePeer,
    /// `[Interface]` lacks a field that it must have.
    #[error("[Interface] must have {0}")]
    InterfaceLacks(Field),
    /// The `[Peer]` of this line lacks its key.
    #[error("[Peer] must have PublicKey")]
    PeerWithoutKey,
}

impl InvalidWireGuardConfig {
    /// Every breach, in the order of the lines.
    #[must_use]
    pub fn breaches(&self) -> &[ConfigBreach] {
        &self.breaches
    }

    /// The stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "INVALID_WIREGUARD_CONFIG"
    }

    /// What the writer of the configuration can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let rules = || self.breaches.iter().map(|breach| breach.rule);
        if rules().any(|rule| matches!(rule, ConfigRule::Unsafe(_))) {
            return Some("remove the hooks: routes and rules are made without them".to_owned());
        }
        if rules().any(|rule| matches!(rule, ConfigRule::Ipv6(_))) {
            return Some("leave the IPv6 addresses out: IPv6 of guests stays closed".to_owned());
        }
        None
    }
}

impl fmt::Display for InvalidWireGuardConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid WireGuard configuration: ")?;
        for (index, breach) in self.breaches.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{breach}")?;
        }
        Ok(())
    }
}

impl fmt::Display for ConfigBreach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        write!(f, "{}", self.rule)
    }
}
