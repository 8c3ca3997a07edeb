//! Which call is allowed in which state: a pure function, and nothing else.
//!
//! ```text
//! created ── start ──▶ configuring ──▶ running ◀── pause / resume ──▶ paused
//!                           │             │                             │
//!                           │             ├──── stop, kill, guest's end ┴──▶ stopped
//!                           └─ failure ───┴──── crash ─────────────────────▶ error
//! ```
//!
//! | state | on the host | calls allowed |
//! |---|---|---|
//! | created | nothing | start, kill, cleanup |
//! | configuring | directory, copies of drives, Firecracker | kill, cleanup |
//! | running | the same, and the guest runs | pause, snapshot, stop, kill, cleanup, live calls |
//! | paused | the same, the guest stands still | resume, snapshot, stop, kill, cleanup, live calls |
//! | stopped | the directory, until cleanup | stop, kill, cleanup |
//! | error | nothing | stop, kill, cleanup |

mod admit;
mod call;
mod state;

pub use admit::InvalidState;
pub(crate) use admit::admit;
pub use call::{Call, LiveCall};
pub use state::VmState;

#[cfg(test)]
mod tests;
