//! nftables: rules as values, as text, and in the kernel.
//!
//! A [`Ruleset`] is a value. `text` writes it as the command `nft` would take it, for people and
//! tests; `encode` writes it for the kernel, in one transaction; `verify` compares with what the
//! kernel has. `foreign` looks at what the rules of other programs do to guests.

mod anonymous_set;
mod counters;
mod elements;
mod encode;
mod expression;
mod field;
mod foreign;
mod kernel;
mod nftables;
mod ruleset;
mod text;
mod told;
mod verify;

pub use counters::RuleCounter;
pub use elements::{Element, ElementData};
pub use field::Field;
pub use foreign::{
    ForeignBackend, ForeignBlock, ForeignProgram, ForwardHook, GuestTraffic, LegacyTable,
};
pub use nftables::{Change, Nftables};
pub use ruleset::{
    Action, Base, Bound, Chain, ChainKind, Family, FlowRange, Hook, Match, Rule, Ruleset, Set,
    SetData, Table,
};
pub(crate) use told::changes_rules_of;
pub use verify::{NotInForce, Verified};
