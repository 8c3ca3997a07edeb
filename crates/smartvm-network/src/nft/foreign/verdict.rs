//! Whether a rule is about a packet, and what it then does.

/// Whether something holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Holds {
    No,
    Maybe,
    Yes,
}

impl Holds {
    pub(super) const fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Maybe => Self::Maybe,
            Self::Yes => Self::No,
        }
    }

    /// The same, or its contrary.
    pub(super) const fn inverted(self, inverted: bool) -> Self {
        if inverted { self.not() } else { self }
    }
}

/// What a rule does with what it matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// The next rule has it.
    Continue,
    Accept,
    Drop,
    Return,
    Jump(String),
    Goto(String),
    /// It is not known what.
    Unknown,
}
