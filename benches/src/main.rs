//! Benchmarks: what we promise, beside the same work done by hand.
//!
//! `cargo xtask bench api start jail memory network snapshot` runs them with the real Firecracker. Every figure
//! is a ratio within one run, its two sides measured alternately, because machines are noisy.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod api;
mod floor;
mod jail;
mod memory;
mod network;
mod sample;
mod seed_way;
mod setup;
mod snapshot;
mod start;

use anyhow::bail;

fn main() -> anyhow::Result<()> {
    let names: Vec<String> = std::env::args().skip(1).collect();
    if names.is_empty() {
        bail!("name what to measure: api, start, jail, memory, network, snapshot");
    }
    for name in names {
        match name.as_str() {
            "api" => api::run()?,
            "snapshot" => snapshot::run()?,
            "start" => start::run()?,
            "jail" => jail::run()?,
            "memory" => memory::run()?,
            "network" => network::run()?,
            other => bail!(
                "no benchmark {other}; there are: api, start, jail, memory, network, snapshot"
            ),
        }
    }
    Ok(())
}
