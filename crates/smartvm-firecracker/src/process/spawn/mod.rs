//! Starting a program without copying this process.
//!
//! * `thread` is the one thread that starts programs,
//! * `stdio` makes the pipes, `argv` the arguments as the kernel takes them,
//! * `clone` makes the child, and is all that the child runs of this program, on a `stack`,
//! * `confined` keeps a child apart from the host, with a `guard_program`, a `mount` and more.

mod argv;
mod clone;
mod confined;
mod guard_program;
mod mount;
mod stack;
mod stdio;
mod thread;

pub(crate) use confined::{Confinement, Guard};
pub(crate) use mount::Mount;
pub(crate) use thread::{SpawnRequest, Spawned, spawn};
