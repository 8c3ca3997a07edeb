//! Where a packet ends up.

/// Where a packet ends up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arrival {
    /// Nowhere: it was dropped.
    Nowhere,
    /// At the host itself.
    Host,
    /// At a guest, by its place in the list.
    Guest(usize),
    /// At another link of the bridge, which is not ours.
    Lan,
    /// Beyond the host.
    Beyond {
        /// Whether it has the host's address, and not its sender's.
        hidden: bool,
    },
}
