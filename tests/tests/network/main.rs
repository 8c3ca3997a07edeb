//! The host's networking, in network namespaces that each test makes for itself.
//!
//! Covers: links, addresses, leases, rules and what packets do. Needs root, and of the kernel TAPs, bridges,
//! nftables and connection tracking; neither `/dev/kvm` nor Firecracker.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod bounds;
mod damaged;
mod egress;
mod faults;
mod foreign;
mod forwarding;
mod frames;
mod hardware_addresses;
mod isolation;
mod lan;
mod lifecycle;
mod link_local;
mod links;
mod mended;
mod model;
mod publishing;
mod rules;
mod security;
mod spoofing;
mod watch;
mod wireguard;
mod world;
