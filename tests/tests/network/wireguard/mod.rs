//! The way out through WireGuard: set-up, removal, and that there is no other way.
//!
//! A cable stands for the tunnel here, as an interface that exists; see the lab tests for WireGuard
//! itself.

mod faults;
mod locks;
mod network;
mod security;
mod set_up;
mod world;
