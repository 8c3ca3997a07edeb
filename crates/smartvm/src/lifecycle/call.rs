//! The calls that change a VM.

use std::fmt;

use serde::Serialize;

/// A call on a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Call {
    /// Make everything and boot.
    Start,
    /// Stand still.
    Pause,
    /// Go on.
    Resume,
    /// Be saved as one is.
    Snapshot,
    /// End gently, then firmly.
    Stop,
    /// End at once.
    Kill,
    /// End at once if need be, and remove every file.
    Cleanup,
    /// Change something about a guest that was started.
    #[serde(untagged)]
    Live(LiveCall),
}

/// A call that changes a started VM and leaves its state as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LiveCall {
    /// Give a drive another file or other limits.
    UpdateDrive,
    /// Plug in a drive.
    AddDrive,
    /// Unplug a drive.
    RemoveDrive,
    /// Give a persistent memory device other limits.
    UpdatePmem,
    /// Plug in a persistent memory device.
    AddPmem,
    /// Unplug a persistent memory device.
    RemovePmem,
    /// Give a network device other limits.
    UpdateNetworkInterface,
    /// Plug in a network device.
    AddNetworkInterface,
    /// Unplug a network device.
    RemoveNetworkInterface,
    /// Let the guest connect to other places.
    SetFirewall,
    /// Take another amount of memory from the guest.
    UpdateBalloon,
    /// Have the guest report on its memory at other times.
    UpdateBalloonStatistics,
    /// Ask the guest for its free pages.
    StartBalloonHinting,
    /// Ask no longer.
    StopBalloonHinting,
    /// Plug or unplug memory.
    UpdateMemoryHotplug,
    /// Replace what the guest can look up.
    SetMetadata,
    /// Change what the guest can look up.
    UpdateMetadata,
}

impl Call {
    /// Its name where it is written down for good, such as `start` or `set-firewall`.
    #[must_use]
    pub fn name(self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(name)) => name,
            other => unreachable!("a call is written as its name, not as {other:?}"),
        }
    }

    /// Every call but the live ones.
    pub const ALL: [Self; 7] = [
        Self::Start,
        Self::Pause,
        Self::Resume,
        Self::Snapshot,
        Self::Stop,
        Self::Kill,
        Self::Cleanup,
    ];
}

impl LiveCall {
    /// Every live call.
    pub const ALL: [Self; 17] = [
        Self::UpdateDrive,
        Self::AddDrive,
        Self::RemoveDrive,
        Self::UpdatePmem,
        Self::AddPmem,
        Self::RemovePmem,
        Self::UpdateNetworkInterface,
        Self::AddNetworkInterface,
        Self::RemoveNetworkInterface,
        Self::SetFirewall,
        Self::UpdateBalloon,
        Self::UpdateBalloonStatistics,
        Self::StartBalloonHinting,
        Self::StopBalloonHinting,
        Self::UpdateMemoryHotplug,
        Self::SetMetadata,
        Self::UpdateMetadata,
    ];

    /// What it does, as a phrase that `of a VM` can follow.
    #[must_use]
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::UpdateDrive => "update a drive",
            Self::AddDrive => "plug in a drive",
            Self::RemoveDrive => "unplug a drive",
            Self::UpdatePmem => "update a persistent memory device",
            Self::AddPmem => "plug in a persistent memory device",
            Self::RemovePmem => "unplug a persistent memory device",
            Self::UpdateNetworkInterface => "update a network interface",
            Self::AddNetworkInterface => "plug in a network interface",
            Self::RemoveNetworkInterface => "unplug a network interface",
            Self::SetFirewall => "set the firewall",
            Self::UpdateBalloon => "update the balloon",
            Self::UpdateBalloonStatistics => "update the balloon's statistics",
            Self::StartBalloonHinting => "start the hinting",
            Self::StopBalloonHinting => "stop the hinting",
            Self::UpdateMemoryHotplug => "change the plugged memory",
            Self::SetMetadata => "set the metadata",
            Self::UpdateMetadata => "update the metadata",
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Snapshot => "snapshot",
            Self::Stop => "stop",
            Self::Kill => "kill",
            Self::Cleanup => "cleanup",
            Self::Live(live) => return write!(f, "{} of", live.phrase()),
        })
    }
}
