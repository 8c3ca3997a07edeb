//! What a VM's network costs: beside the least that the kernel needs, and beside the commands of the
//! TypeScript original.

mod attach;
mod floor;
mod many;
mod neighbour;
mod policy;
mod remove;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use smartvm_network::{AttachGuest, NetworkOptions};

const ROUNDS: usize = 120;

/// Measures in namespaces of its own.
pub(crate) fn run() -> anyhow::Result<()> {
    let dir = tempfile::tempdir_in(memory()).context("make a directory")?;
    println!("network: {ROUNDS} rounds each, in a namespace");
    attach::run(dir.path())?;
    many::run(dir.path())?;
    policy::run()?;
    neighbour::run(dir.path())?;
    remove::run()
}

/// Where the state is in production as well: a file system in memory.
fn memory() -> &'static Path {
    if Path::new("/dev/shm").is_dir() { Path::new("/dev/shm") } else { Path::new("/tmp") }
}

fn request(dir: &Path, number: usize) -> AttachGuest {
    AttachGuest {
        vm: format!("vm{number}"),
        iface: "eth0".to_owned(),
        scope: dir.display().to_string(),
        owner: dir.join("owner"),
        owner_process: None,
        uid: 1000,
        gid: 1000,
        mac: None,
        address: None,
        egress: None,
        published: Vec::new(),
        bounds: None,
        resolvers: Default::default(),
    }
}

fn options(dir: &Path, name: &str) -> NetworkOptions {
    let mut options = NetworkOptions { state_dir: dir.join(name), ..NetworkOptions::default() };
    options.subnet = "172.30.0.0/20".parse().expect("a subnet");
    options
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let begun = Instant::now();
    let done = work();
    (begun.elapsed(), done)
}
