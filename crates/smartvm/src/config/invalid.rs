//! Every rule that a configuration breaks, reported at once.

use std::fmt;

/// One broken rule: which value, and what must hold for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// The value's place in the configuration, such as `drives[1].driveId`.
    pub path: String,
    /// The rule, as a phrase that follows the path: `must be >= 1`.
    pub rule: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, self.rule)
    }
}

/// A configuration that breaks at least one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidConfig {
    breaches: Vec<Breach>,
}

impl InvalidConfig {
    /// Every breach, in the order of the configuration.
    #[must_use]
    pub fn breaches(&self) -> &[Breach] {
        &self.breaches
    }
}

impl fmt::Display for InvalidConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid configuration: ")?;
        for (index, breach) in self.breaches.iter().enumerate() {
            if index > 0 {
                write!(f, "; ")?;
            }
            write!(f, "{breach}")?;
        }
        Ok(())
    }
}

impl std::error::Error for InvalidConfig {}

/// Collects breaches while a configuration is read from top to bottom.
#[derive(Debug, Default)]
pub(crate) struct Breaches(Vec<Breach>);

impl Breaches {
    pub(crate) fn add(&mut self, path: impl Into<String>, rule: impl Into<String>) {
        self.0.push(Breach { path: path.into(), rule: rule.into() });
    }

    pub(crate) fn require(&mut self, holds: bool, path: impl Into<String>, rule: &str) {
        if !holds {
            self.add(path, rule);
        }
    }

    /// Succeeds when nothing was collected.
    pub(crate) fn into_result(self) -> Result<(), InvalidConfig> {
        if self.0.is_empty() { Ok(()) } else { Err(InvalidConfig { breaches: self.0 }) }
    }
}
