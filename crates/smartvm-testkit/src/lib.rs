//! Test support shared by the crates and by the tests that drive a real Firecracker.
//!
//! Nothing here is meant for production code: the functions panic with a full
//! sentence where a test could do nothing but panic, and [`fixtures`] reads the
//! environment variables that `cargo xtask test` sets.

mod eventually;
pub mod fixtures;
pub mod leak;
mod net_namespace;
mod tap;
mod tap_guest;
mod test_home;
pub mod tiny_guest;
pub mod vsock_program;

pub use eventually::eventually;
pub use leak::HostSnapshot;
pub use net_namespace::NetNamespace;
pub use tap::Tap;
pub use tap_guest::TapGuest;
pub use test_home::TestHome;
pub use tiny_guest::TinyGuest;
