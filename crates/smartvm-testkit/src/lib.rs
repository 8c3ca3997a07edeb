//! Test support shared by the crates and by the tests that drive a real Firecracker.
//!
//! Nothing here is meant for production code: the functions panic with a full
//! sentence where a test could do nothing but panic, and [`fixtures`] reads the
//! environment variables that `cargo xtask test` sets.

mod eventually;
pub mod fixtures;
mod hostile_firecracker;
pub mod http;
pub mod leak;
mod loop_fs;
pub mod memory;
mod net_namespace;
mod packet_capture;
mod tap;
mod tap_guest;
mod test_home;
pub mod tiny_guest;
mod traffic;
pub mod vsock_program;

pub use eventually::eventually;
pub use hostile_firecracker::hostile_firecracker;
pub use leak::HostSnapshot;
pub use loop_fs::LoopFs;
pub use net_namespace::NetNamespace;
pub use packet_capture::PacketCapture;
pub use tap::Tap;
pub use tap_guest::TapGuest;
pub use test_home::TestHome;
pub use tiny_guest::TinyGuest;
pub use traffic::{Traffic, World};
