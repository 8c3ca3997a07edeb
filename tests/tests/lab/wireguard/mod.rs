//! WireGuard of the kernel, with a peer behind an internet that records every packet.
//!
//! A guest's stand-in on the bridge never stops calling the world, and in [`guests`] real guests do.

mod closed;
mod guests;
mod tunnel;
mod world;
