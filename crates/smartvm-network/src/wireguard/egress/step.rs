//! The single changes that set-up and removal are made of.

use std::fmt;

/// One change to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WireGuardStep {
    /// Adds a routing rule.
    AddRule,
    /// Adds the route that refuses.
    AddLockRoute,
    /// Removes a route of ours that leads through an interface that is not the one any more.
    RemoveStaleRoute,
    /// Makes the managed interface.
    CreateInterface,
    /// Sets its keys and peers.
    Configure,
    /// Gives it an address, or takes one away.
    ChangeAddress,
    /// Sets the length of its longest packet.
    SetMtu,
    /// Brings it up.
    BringUp,
    /// Writes on it that it is as configured.
    MarkConfigured,
    /// Adds the one way out.
    AddRoute,
    /// Removes a route.
    RemoveRoute,
    /// Removes the managed interface.
    RemoveInterface,
    /// Removes a routing rule.
    RemoveRule,
}

impl WireGuardStep {
    /// What is done, as a phrase.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AddRule => "add a routing rule",
            Self::AddLockRoute => "add the route that refuses",
            Self::RemoveStaleRoute => "remove a stale route",
            Self::CreateInterface => "make the interface",
            Self::Configure => "set keys and peers",
            Self::ChangeAddress => "change an address",
            Self::SetMtu => "set the MTU",
            Self::BringUp => "bring the interface up",
            Self::MarkConfigured => "mark the interface as configured",
            Self::AddRoute => "add the default route",
            Self::RemoveRoute => "remove a route",
            Self::RemoveInterface => "remove the interface",
            Self::RemoveRule => "remove a routing rule",
        }
    }
}

impl fmt::Display for WireGuardStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
