//! How long a request takes through the client.
//!
//! Promised: median at most 1.2 times a raw write and read on the same socket.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use smartvm::firecracker::ApiClient;
use smartvm::firecracker::api::MachineConfiguration;
use tokio::runtime::Runtime;

use crate::floor;
use crate::sample::Sample;
use crate::setup::Setup;

const ROUNDS: usize = 5000;
const WARM_UP: usize = 200;

pub(crate) fn run() -> anyhow::Result<()> {
    let setup = Setup::new()?;
    let socket = setup.home.path().join("api.sock");
    let mut child = floor::spawn(&setup.firecracker, &socket)?;
    let measured = measure(&socket);
    child.kill()?;
    child.wait()?;
    measured
}

fn measure(socket: &Path) -> anyhow::Result<()> {
    let mut raw = floor::connect(socket)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let client = runtime.block_on(ApiClient::connect(socket))?;
    let version = runtime.block_on(client.version())?;
    let client = client.with_version(version);
    let machine = MachineConfiguration::new(1.try_into()?, 128);

    println!("api: one request on a kept connection, measured alternately");
    println!("{:<34} {:>6} {:>11} {:>11}", "", "rounds", "median us", "p99 us");
    let get = "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n";
    compare("GET /", &mut raw, get, &runtime, async || client.instance_info().await.map(drop))?;
    let body = serde_json::to_string(&machine)?;
    let put = format!(
        "PUT /machine-config HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    compare("PUT /machine-config", &mut raw, &put, &runtime, async || {
        client.put_machine_config(&machine).await
    })
}

fn compare<E: std::error::Error + Send + Sync + 'static>(
    name: &str,
    raw: &mut UnixStream,
    request: &str,
    runtime: &Runtime,
    call: impl AsyncFn() -> Result<(), E>,
) -> anyhow::Result<()> {
    let (mut by_hand, mut ours) = (Sample::default(), Sample::default());
    for round in 0..ROUNDS + WARM_UP {
        let floor = write_and_read(raw, request.as_bytes()).context("the raw exchange")?;
        let client = runtime.block_on(async {
            let begun = Instant::now();
            call().await.map(|()| begun.elapsed())
        })?;
        if round >= WARM_UP {
            by_hand.add(floor);
            ours.add(client);
        }
    }
    for (way, sample) in [("raw write and read", &by_hand), ("client", &ours)] {
        let (median, p99) = (sample.percentile_ms(50) * 1e3, sample.percentile_ms(99) * 1e3);
        println!("{:<34} {:>6} {median:>11.1} {p99:>11.1}", format!("{name}: {way}"), sample.len());
    }
    let ratio = ours.percentile_ms(50) / by_hand.percentile_ms(50);
    println!("{name}: ratio client / raw, median {ratio:.2} (promised <= 1.20)");
    Ok(())
}

/// Nothing is looked at but that it is success: the answer comes in one piece.
fn write_and_read(stream: &mut UnixStream, request: &[u8]) -> anyhow::Result<Duration> {
    let mut answer = [0; 4096];
    let begun = Instant::now();
    stream.write_all(request)?;
    let count = stream.read(&mut answer)?;
    let took = begun.elapsed();
    ensure!(answer[..count].starts_with(b"HTTP/1.1 20"), "the request was refused");
    Ok(took)
}
