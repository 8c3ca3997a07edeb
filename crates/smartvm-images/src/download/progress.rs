//! What a download tells whoever watches it.

use std::time::Duration;

/// What happens to a download. `what` is the name that the caller gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProgressEvent<'a> {
    /// Somebody else is at it; their result will be used.
    Waiting {
        /// The download.
        what: &'a str,
    },
    /// Bytes are about to come. Sent again when a broken transfer goes on.
    Started {
        /// The download.
        what: &'a str,
        /// How many bytes there are already.
        done: u64,
        /// How many there will be, when the server says.
        total: Option<u64>,
    },
    /// More bytes have come.
    Advanced {
        /// The download.
        what: &'a str,
        /// How many bytes there are now.
        done: u64,
    },
    /// Something went wrong that may pass: it is tried again.
    Retrying {
        /// The download.
        what: &'a str,
        /// What went wrong.
        problem: &'a str,
        /// After how long it is tried again.
        after: Duration,
    },
    /// All bytes are there, and what they must be.
    Finished {
        /// The download.
        what: &'a str,
        /// How many bytes there are.
        size: u64,
    },
}

/// Somebody who watches downloads. Called from the tasks that download: it must not block.
pub trait Progress: Send + Sync {
    /// Takes note of an event.
    fn report(&self, event: &ProgressEvent<'_>);
}

/// Nobody watches.
impl Progress for () {
    fn report(&self, _: &ProgressEvent<'_>) {}
}
