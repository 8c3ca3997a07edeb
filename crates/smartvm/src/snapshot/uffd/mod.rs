//! Giving a restored guest its memory when it first touches it.
//!
//! Firecracker registers the guest's memory with userfaultfd and hands us the descriptor over a
//! socket, with the places of the regions (`regions`, `handshake`). A thread of ours reads the faults
//! (`event`) and fills each page, and more when they are asked for in order (`ahead`), from the
//! snapshot's memory file (`fill`, `ioctl`). The guest stands
//! still at a page that nobody fills, so a handler that fails says so, and its VM is ended.

mod ahead;
mod event;
mod fill;
mod handler;
mod handshake;
mod ioctl;
mod regions;

pub use handler::UffdError;
pub(crate) use handler::UffdHandler;
pub(crate) use handshake::Peer;
pub use regions::{GuestRegion, GuestRegions, ParseRegionsError};
