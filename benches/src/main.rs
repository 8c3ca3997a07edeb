//! Benchmarks: what we promise, beside the same work done by hand.
//!
//! `cargo xtask bench api images start jail memory network parallel recovery snapshot` runs them with the real Firecracker. Every figure
//! is a ratio within one run, its two sides measured alternately, because machines are noisy.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod api;
mod floor;
mod images;
mod jail;
mod memory;
mod network;
mod parallel;
mod recovery;
mod sample;
mod seed_way;
mod setup;
mod snapshot;
mod start;

use anyhow::bail;

fn main() -> anyhow::Result<()> {
    let names: Vec<String> = std::env::args().skip(1).collect();
    if let [serve, file] = &*names
        && serve == images::SERVE
    {
        return images::serve(file.as_ref());
    }
    if let [own, home] = &*names
        && own == recovery::OWN
    {
        return recovery::own(home.as_ref());
    }
    if names.is_empty() {
        bail!(
            "name what to measure: api, images, start, jail, memory, network, parallel, recovery, snapshot"
        );
    }
    for name in names {
        match name.as_str() {
            "api" => api::run()?,
            "images" => images::run()?,
            "snapshot" => snapshot::run()?,
            "start" => start::run()?,
            "jail" => jail::run()?,
            "memory" => memory::run()?,
            "network" => network::run()?,
            "parallel" => parallel::run()?,
            "recovery" => recovery::run()?,
            other => bail!(
                "no benchmark {other}; there are: api, images, start, jail, memory, network, parallel, recovery, snapshot"
            ),
        }
    }
    Ok(())
}
