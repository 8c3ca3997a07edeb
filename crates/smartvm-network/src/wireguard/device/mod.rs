//! A WireGuard device of the kernel, over generic netlink.

mod attribute;
mod family;
mod read;
mod write;

pub(super) use family::WireGuardSocket;
pub(super) use read::{PeerStatus, WireGuardDevice};
