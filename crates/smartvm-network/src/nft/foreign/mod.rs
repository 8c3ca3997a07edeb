//! What firewalls of other programs do to guests: they can stop what our rules let through.
//!
//! Their tables are read and never changed. `listing` reads them, `walk` leads a packet through them of
//! which only a part is known, `matching` compares what is known of it, and [`ForeignBlock`] is what
//! comes of it, with the commands that mend it.

mod foreign_block;
mod listing;
mod matching;
mod probe;
mod walk;

pub use foreign_block::{ForeignBlock, ForeignProgram};
pub use probe::GuestTraffic;
