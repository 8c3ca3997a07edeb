//! What the host asks of a guest that runs: programs, files, streams to its ports, and questions and orders to the agent itself.
//!
//! One thread waits for connections and for children; each connection has a thread that waits for all that can happen
//! to its session. Nothing looks again and again.

mod agent;
mod cgroup;
mod children;
mod connection;
mod control;
mod exec;
mod files;
mod forward;
mod listener;
mod memory;
mod open_files;
mod refused;
mod server;
mod session;
mod shutdown;
mod signals;
mod vsock;

pub(crate) use server::run;
pub(crate) use vsock::has_device as has_host;
