//! Policy routing: which table the packets of a subnet are routed by.
//!
//! A *plan* says what is wanted, in values that print as `ip` would print them; `PolicyRouting`
//! reads and changes what the kernel has. All that is ours carries the protocol number
//! [`PROTOCOL`], and nothing else is ever removed.

mod plan;
mod policy;
mod route;
mod rule;

pub(crate) use plan::RoutingPlan;
pub(crate) use policy::PolicyRouting;
pub(crate) use route::{Route, RouteKind};
pub(crate) use rule::Rule;

/// The protocol of our rules and routes: the originator that the kernel keeps with each, by which
/// they are told from everyone else's. `ip` shows it as `proto 83`.
pub const PROTOCOL: u8 = 83;
