//! A model of what nftables does with the rules of a network, and what it should do with them.
//!
//! Test support, never in production. Three things that know nothing of each other are compared:
//!
//! * [`Machine`] interprets rules over the bytes of a frame, as the kernel documents it: hooks, priorities,
//!   jumps, sets and maps. [`Host`] leads an [`Attempt`] through the hooks that a packet of its kind passes.
//!   Neither knows a policy.
//! * [`Oracle`] knows the policies and what docs/SECURITY.md says of them. It knows no rules.
//! * Real packets: `tests/network/model.rs` sends [`Attempt::frame`], and looks where it arrives.
//!
//! [`chance`] makes networks, guests and attempts.

mod arrival;
mod attempt;
pub mod chance;
mod checksum;
mod host;
mod machine;
mod oracle;
mod packet;
mod scene;

pub use arrival::Arrival;
pub use attempt::{Attempt, Content, Protocol, Target, Way};
pub use host::Host;
pub use machine::{Dropped, Machine};
pub use oracle::Oracle;
pub use packet::{Link, Packet};
pub use scene::{LedPort, Scene};
