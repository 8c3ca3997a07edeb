//! The floor: the same start by hand, with nothing but the system interface.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

/// Spawns Firecracker, connects as soon as it listens, and boots the guest over that connection.
/// Returns how long that took until InstanceStart was accepted.
pub(crate) fn start(firecracker: &Path, socket: &Path, kernel: &Path) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let mut child = spawn(firecracker, socket)?;
    let booted = boot(socket, kernel).map(|()| begun.elapsed());
    child.kill()?;
    child.wait()?;
    fs_err::remove_file(socket).ok();
    booted
}

pub(crate) fn spawn(firecracker: &Path, socket: &Path) -> anyhow::Result<Child> {
    Ok(Command::new(firecracker)
        .arg("--api-sock")
        .arg(socket)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?)
}

pub(crate) fn boot(socket: &Path, kernel: &Path) -> anyhow::Result<()> {
    let mut stream = connect(socket)?;
    for (request, body) in requests(kernel) {
        exchange(&mut stream, request, &body)?;
    }
    Ok(())
}

/// The requests of a start, as our client sends them.
pub(crate) fn requests(kernel: &Path) -> [(&'static str, String); 4] {
    let kernel = kernel.display();
    [
        ("GET /version", String::new()),
        ("PUT /machine-config", r#"{"vcpu_count":1,"mem_size_mib":32}"#.to_owned()),
        ("PUT /boot-source", format!(r#"{{"kernel_image_path":"{kernel}"}}"#)),
        ("PUT /actions", r#"{"action_type":"InstanceStart"}"#.to_owned()),
    ]
}

pub(crate) fn connect(socket: &Path) -> anyhow::Result<UnixStream> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match UnixStream::connect(socket) {
            Ok(stream) => return Ok(stream),
            Err(error) if Instant::now() > deadline => return Err(error).context("no socket"),
            Err(_) => std::thread::sleep(Duration::from_micros(50)),
        }
    }
}

/// Sends one request and reads its answer whole.
pub(crate) fn exchange(stream: &mut UnixStream, line: &str, body: &str) -> anyhow::Result<()> {
    let length = body.len();
    stream.write_all(
        format!("{line} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}")
            .as_bytes(),
    )?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer)?;
        ensure!(count > 0, "{line}: the connection was closed");
        answer.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&answer);
        let Some((head, rest)) = text.split_once("\r\n\r\n") else { continue };
        let expected = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(Ok(0), |(_, value)| value.trim().parse())?;
        if rest.len() >= expected {
            ensure!(head.starts_with("HTTP/1.1 20"), "{line}: {text}");
            return Ok(());
        }
    }
}
