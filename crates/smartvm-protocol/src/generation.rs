//! Which form of the protocol is spoken, and what an agent can do in it.

use std::fmt;

use crate::choice::{choices, strict_choices};
use crate::field::{FieldFault, Value};

/// The newest generation that this crate speaks.
pub const GENERATION: u16 = 1;

/// The oldest one.
pub const LOWEST_GENERATION: u16 = 1;

choices! {
    /// What a connection is for.
    SessionKind {
        /// Questions and orders to the agent itself.
        1 Control,
        /// A new program.
        2 Exec,
        /// A program that was kept.
        3 Attach,
        /// A file, or a tree as a tar stream, out of the guest.
        4 Read,
        /// The same into the guest.
        5 Write,
        /// Bytes to and from a port or socket of the guest.
        6 Forward,
    }

    /// What an agent may be able to do; its number is its bit in [`Features`].
    Feature {
        /// `Exec` sessions with pipes.
        0 Exec,
        /// `Exec` sessions with a terminal.
        1 Terminal,
        /// Programs outlive their session, and `Attach` finds them.
        2 Keep,
        /// A control group of version 2 for each program: its limits are in force, none of its children is left, and
        /// what ran out of memory is told so.
        3 ControlGroups,
        /// `Read` sessions.
        4 Read,
        /// `Write` sessions.
        5 Write,
        /// `Forward` sessions.
        6 Forward,
        /// `Shutdown`.
        7 Shutdown,
        /// `Renew`.
        8 Renew,
        /// `Quiesce` and `Thaw`.
        9 Quiesce,
    }
}

strict_choices!(SessionKind);

/// A set of [`Feature`]s. Bits that are not known are kept and mean nothing.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Features(u64);

impl Features {
    /// With one more.
    #[must_use]
    pub const fn with(self, feature: Feature) -> Self {
        Self(self.0 | 1 << feature.number())
    }

    /// Whether it is among them.
    pub const fn has(self, feature: Feature) -> bool {
        self.0 & (1 << feature.number()) != 0
    }
}

impl FromIterator<Feature> for Features {
    fn from_iter<T: IntoIterator<Item = Feature>>(features: T) -> Self {
        features.into_iter().fold(Self::default(), Self::with)
    }
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Feature::ALL.iter().filter(|(_, feature, _)| self.has(*feature));
        f.debug_set().entries(known.map(|(_, feature, _)| feature)).finish()
    }
}

impl Value for Features {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn get(bytes: &[u8]) -> Result<Self, FieldFault> {
        u64::get(bytes).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_told_apart() {
        let some: Features = [Feature::Exec, Feature::Renew].into_iter().collect();
        assert!(some.has(Feature::Renew) && !some.has(Feature::Forward));
        assert_eq!(format!("{some:?}"), "{Exec, Renew}");
    }

    #[test]
    fn a_feature_of_a_newer_agent_is_no_error() {
        let newer = Features::get(&u64::MAX.to_le_bytes()).unwrap();
        assert!(newer.has(Feature::Exec));
    }
}
