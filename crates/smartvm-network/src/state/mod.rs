//! What exists of networks, in a form that another process can remove it from.
//!
//! ```text
//! <stateDir>/                0700, /run/smartvm/net unless chosen
//!   .lock                    held while what belongs to the whole host is changed
//!   .forwarding              links that forward for us and did not before, and which networks need it
//!   .damaged/                records that could not be read
//!   .ports/tcp-8080-0.0.0.0  a published port, and whose it is
//!   svbr0/                   a network
//!     lock                   held while the network is changed
//!     users                  held, shared, by every process that uses it
//!     network.json           what it is, written before it is made
//!     guests/TAP.json        a VM's interface, written before it is made
//!     leases/172.30.0.2      an address, and the TAP that has it
//! ```
//!
//! A guest names its owner by a lock that the owner holds for as long as it lives, and by its process.

mod forwarding;
mod guest_record;
mod host_state;
mod lease;
mod network_record;
mod network_state;
mod owner;
mod ports;
mod state_error;

pub(crate) use forwarding::{ForwardingKernel, ForwardingNeed};
pub use guest_record::GuestRecord;
pub(crate) use host_state::HostState;
pub use lease::LeaseError;
pub use network_record::NetworkRecord;
pub(crate) use network_state::{InUse, Locked, NetworkState};
pub use ports::PortConflict;
pub use state_error::StateError;

pub(crate) use owner::owner_lives;
