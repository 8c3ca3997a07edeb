//! The text that describes a managed interface, in the form that `wg-quick` reads.

mod breach;
mod field;
mod interface;
mod parse;
mod peer;
mod value;

pub use breach::{ConfigBreach, ConfigRule, InvalidWireGuardConfig};
pub use field::{Field, Section};
pub use interface::WireGuardConfig;
pub use peer::PeerConfig;
pub(super) use value::decimal;

#[cfg(test)]
mod tests;
