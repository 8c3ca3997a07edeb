//! The calls that change a VM's state.

use std::fmt;

/// A call on a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
}

impl Call {
    /// Every call.
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
        })
    }
}
