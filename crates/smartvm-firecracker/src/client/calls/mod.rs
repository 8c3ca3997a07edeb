//! The calls that Firecracker knows, by name, one kind of resource a file.
//!
//! Each is one request and fails as [`ApiClient::get`](super::ApiClient::get) and its sisters do.

mod balloon;
mod device;
mod drive;
mod instance;
mod machine;
mod memory_hotplug;
mod mmds;
mod network_interface;
mod pmem;
mod snapshot;
