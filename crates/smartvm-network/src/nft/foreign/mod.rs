//! What firewalls of other programs do to guests: they can stop what our rules let through.
//!
//! Their tables are read and never changed. `listing` reads those of nftables and `legacy` those of the old iptables,
//! `walk` leads a packet through them of which only a part is known (`probe`), `matching` and `extension` compare what
//! is known of it, and [`ForeignBlock`] is what comes of it (`guest_way`), with the commands that mend it (`remedy`).

mod extension;
mod foreign_block;
mod guest_way;
mod legacy;
mod listing;
mod matching;
mod probe;
mod remedy;
mod verdict;
mod walk;

pub use foreign_block::{ForeignBackend, ForeignBlock, ForeignProgram};
pub use legacy::{ForwardHook, LegacyTable};
pub use probe::GuestTraffic;
