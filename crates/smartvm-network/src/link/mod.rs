//! Links of the host: bridges and TAPs, their addresses, and the routes that lead to them.

mod addresses;
mod forwarding_table;
mod found_link;
mod link_requests;
mod links;
mod routes;
mod tap;

pub use found_link::{FoundLink, LinkKind};
pub(crate) use link_requests::{RTM_DELLINK, RTM_NEWLINK};
pub use links::{BridgePort, Links};
pub use routes::FoundRoute;
pub use tap::{MakeTapError, make_tap};
