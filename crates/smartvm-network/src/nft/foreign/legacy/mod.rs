//! The old iptables, whose rules are not in nftables: each table is one piece of memory that the kernel gives out whole.
//!
//! `kernel` asks for it, `table` finds the chains in it, and `entry` reads one rule.

mod entry;
mod kernel;
mod table;

pub(super) use kernel::tables;
pub use table::{ForwardHook, LegacyTable};
