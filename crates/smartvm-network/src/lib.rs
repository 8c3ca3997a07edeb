//! The host's side of a microVM's network, over netlink only: no program is run.
//!
//! * [`netlink`] is the one socket and the one codec that everything here speaks through,
//! * [`Network`] is a bridge with its rules, and [`Network::attach`] gives a VM an interface of it,
//! * [`names`] says what everything on the host is called,
//! * [`link`] makes bridges and TAPs, with addresses,
//! * [`policy`] says what guests may do, and becomes rules,
//! * [`nft`] puts rules in force,
//! * [`WireGuardEgress`] makes a WireGuard interface the only way out, with [`routing`]'s rules and routes,
//! * [`InterfaceName`], [`Subnet`], [`MacAddress`] are values that cannot be wrong.
//!
//! All calls block, for the time that the kernel needs, and act in the network namespace of the
//! thread that calls.

mod conntrack;
mod interface_name;
pub mod link;
mod mac_address;
pub mod names;
pub mod netlink;
mod network;
pub mod nft;
pub mod policy;
pub mod routing;
mod state;
mod subnet;
pub mod wireguard;

pub use interface_name::{InterfaceName, InvalidInterfaceName};
pub use mac_address::MacAddress;
pub use network::{
    AttachError, AttachGuest, Attachment, BoundsReport, ChangePolicyError, DetachError, MacHolder,
    Network, NetworkDamage, NetworkOptions, NetworkReport, NetworkSweep, OpenNetworkError,
    PolicyReport, RefusedReport, RuleReport, StepHook,
};
pub use state::{GuestRecord, LeaseError, NetworkRecord, PortConflict, StateError};
pub use subnet::{InvalidSubnet, Subnet};
pub use wireguard::{WireGuardEgress, WireGuardOptions, WireGuardSpec};
