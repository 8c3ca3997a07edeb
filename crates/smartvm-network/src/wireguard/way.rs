//! Where a network knows its way out from.

use super::config::WireGuardConfig;
use super::record::WireGuardRecord;
use super::spec::WireGuardSpec;

/// The way out of a network through WireGuard, as a network is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WireGuardWay {
    /// As its owner says: what is missing is made.
    Configured(Box<WireGuardSpec>),
    /// As it is written down, without keys: a managed interface must be there already.
    Recorded(WireGuardRecord),
}

impl WireGuardWay {
    /// What is written down of it; none when it takes no traffic.
    #[must_use]
    pub fn record(&self) -> Option<WireGuardRecord> {
        match self {
            Self::Configured(spec) => WireGuardRecord::of(spec),
            Self::Recorded(record) => Some(record.clone()),
        }
    }

    /// What a managed interface is made of, where that is known.
    pub(super) fn config(&self) -> Option<&WireGuardConfig> {
        match self {
            Self::Configured(spec) => spec.managed(),
            Self::Recorded(_) => None,
        }
    }
}

impl From<WireGuardSpec> for WireGuardWay {
    fn from(spec: WireGuardSpec) -> Self {
        Self::Configured(Box::new(spec))
    }
}
