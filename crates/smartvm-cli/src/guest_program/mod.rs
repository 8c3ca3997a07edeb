//! A program in a guest and the person or script in front of it: what `exec`, `shell` and `run … -- CMD` share.

mod args;
mod env_file;
mod failure;
mod session;
mod signals;
mod streams;

pub(crate) use args::{ProgramArgs, StreamArgs};
pub(crate) use failure::{of_guest, of_unstarted};
pub(crate) use session::attend;
pub(crate) use signals::GuestSignals;
