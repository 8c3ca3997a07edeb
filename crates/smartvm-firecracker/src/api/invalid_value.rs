//! Why a value cannot stand in a request.

/// A value breaks a rule of Firecracker's, found before anything is sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is not {what}: {rule}")]
pub struct InvalidValue {
    what: &'static str,
    value: String,
    rule: &'static str,
}

impl InvalidValue {
    /// What is quoted of a value; the rest says nothing more.
    const QUOTED_CHARS: usize = 80;

    pub(super) fn new(what: &'static str, value: impl ToString, rule: &'static str) -> Self {
        let value = value.to_string().chars().take(Self::QUOTED_CHARS).collect();
        Self { what, value, rule }
    }

    /// A stable name of the kind of failure.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "API_VALUE_INVALID"
    }

    /// The rule that the value breaks.
    #[must_use]
    pub const fn rule(&self) -> &'static str {
        self.rule
    }
}
