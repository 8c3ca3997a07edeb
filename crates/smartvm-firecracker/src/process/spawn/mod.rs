//! Starting a program without copying this process.
//!
//! * `thread` is the one thread that starts programs,
//! * `stdio` makes the pipes, `argv` the arguments as the kernel takes them,
//! * `clone` makes the child, and is all that the child runs of this program, on a `stack`.

mod argv;
mod clone;
mod stack;
mod stdio;
mod thread;

pub(crate) use thread::{SpawnRequest, Spawned, spawn};
