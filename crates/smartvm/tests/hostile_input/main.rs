//! What bytes of others make us take: for every parser of such bytes, how its memory and its work grow with them.
//!
//! Each case is the worst that is known of its form. That nothing makes them panic is said elsewhere, beside the
//! parsers and in `fuzz`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod archives;
mod firecracker;
mod images;
mod kernels;
mod network;
mod records;
mod snapshots;
