//! Programs of the host's sessions.

mod identity;
mod input;
mod kept;
mod launch;
mod output;
mod program;
mod session;
mod start;
mod terminal;

pub(crate) use kept::Kept;
pub(crate) use session::run;
