//! One connection to a port of the guest.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream as StdStream;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::SOCKET;
use crate::home::WorkDir;

/// How long Firecracker may take to accept a connection, when very many are under way.
const ACCEPTED: Duration = Duration::from_secs(5);

/// Firecracker's answer is `OK <number>\n`.
const MAX_ANSWER: usize = 32;

/// Connects to whatever listens on `port` of the guest of the Firecracker with the process id `firecracker`.
///
/// # Errors
/// `ConnectionRefused` when nothing listens there; whatever the system says otherwise.
pub(super) async fn dial(
    work_dir: &WorkDir,
    firecracker: u32,
    port: u32,
) -> io::Result<UnixStream> {
    let mut stream = connect(work_dir).await?;
    let peer = stream.peer_cred()?.pid();
    if peer.and_then(|pid| u32::try_from(pid).ok()) != Some(firecracker) {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("{SOCKET} is not that of the VM's Firecracker"),
        ));
    }
    stream.write_all(format!("CONNECT {port}\n").as_bytes()).await?;
    read_answer(&mut stream).await?;
    Ok(stream)
}

async fn connect(work_dir: &WorkDir) -> io::Result<UnixStream> {
    // By the descriptor of the socket itself: nothing can take its place between look and use.
    let socket = work_dir.open_socket(Path::new(SOCKET))?;
    let path = format!("/proc/self/fd/{}", socket.as_raw_fd());
    match UnixStream::connect(&path).await {
        // Its queue is full; only a connect that may block waits for a place.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        other => return other,
    }
    let waited = tokio::task::spawn_blocking(move || {
        let _open = socket;
        connect_within(&path, ACCEPTED)
    });
    let stream = waited.await.map_err(io::Error::other)??;
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

fn connect_within(path: &str, patience: Duration) -> io::Result<StdStream> {
    use rustix::net::sockopt::{Timeout, set_socket_timeout};
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    set_socket_timeout(&socket, Timeout::Send, Some(patience))?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    set_socket_timeout(&socket, Timeout::Send, None)?;
    Ok(socket.into())
}

/// Reads Firecracker's line and not one byte more: what follows is the guest's.
async fn read_answer(stream: &mut UnixStream) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        let mut byte = [0];
        if stream.read(&mut byte).await? == 0 {
            return Err(io::Error::new(
                io::ErrorKind::ConnectionRefused,
                "nothing in the guest listens on that port",
            ));
        }
        if byte == *b"\n" {
            break;
        }
        line.extend(byte);
        if line.len() > MAX_ANSWER {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an answer without an end"));
        }
    }
    let is_ok = line
        .strip_prefix(b"OK ")
        .is_some_and(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit));
    if is_ok {
        Ok(())
    } else {
        let text = format!("an answer that Firecracker never gives: {}", line.escape_ascii());
        Err(io::Error::new(io::ErrorKind::InvalidData, text))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tokio::io::AsyncBufReadExt;
    use tokio::net::UnixListener;

    use super::*;

    /// Answers one connection as Firecracker would, or would not.
    fn answering(dir: &Path, answer: &'static [u8]) -> PathBuf {
        let path = dir.join(SOCKET);
        let listener = UnixListener::bind(&path).unwrap();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = tokio::io::BufReader::new(stream);
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            assert_eq!(line, "CONNECT 1023\n");
            stream.get_mut().write_all(answer).await.unwrap();
        });
        path
    }

    async fn dialled(answer: &'static [u8]) -> io::Result<UnixStream> {
        let dir = tempfile::tempdir().unwrap();
        answering(dir.path(), answer);
        dial(&WorkDir::of_test(dir.path()), std::process::id(), 1023).await
    }

    #[tokio::test]
    async fn what_the_guest_says_first_is_not_lost() {
        let mut stream = dialled(b"OK 1073741824\nhello").await.unwrap();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await.unwrap();
        assert_eq!(said, b"hello");
    }

    #[tokio::test]
    async fn a_port_that_nothing_listens_on_is_refused() {
        let error = dialled(b"").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn lies_and_endless_answers_are_noticed() {
        for answer in [&b"OK \n"[..], b"OK x\n", b"no\n", b"\n", &[b'O'; 4096]] {
            let error = dialled(answer).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{}", answer.escape_ascii());
        }
    }

    #[tokio::test]
    async fn a_link_or_another_process_in_the_place_of_the_socket_is_not_used() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let work_dir = WorkDir::of_test(dir.path());
        let path = answering(elsewhere.path(), b"OK 1\n");
        std::os::unix::fs::symlink(path, dir.path().join(SOCKET)).unwrap();
        dial(&work_dir, std::process::id(), 1023).await.unwrap_err();
        fs_err::remove_file(dir.path().join(SOCKET)).unwrap();
        answering(dir.path(), b"OK 1\n");
        let error = dial(&work_dir, 1, 1023).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }

    #[tokio::test]
    async fn a_full_queue_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(SOCKET);
        let socket = rustix::net::socket(
            rustix::net::AddressFamily::UNIX,
            rustix::net::SocketType::STREAM,
            None,
        )
        .unwrap();
        rustix::net::bind(&socket, &rustix::net::SocketAddrUnix::new(&path).unwrap()).unwrap();
        rustix::net::listen(&socket, 0).unwrap();
        let listener = std::os::unix::net::UnixListener::from(socket);
        let work_dir = WorkDir::of_test(dir.path());
        let mut dials: Vec<_> = (0..4)
            .map(|_| {
                let work_dir = work_dir.clone();
                tokio::spawn(async move { dial(&work_dir, std::process::id(), 1023).await })
            })
            .collect();
        let answers = tokio::task::spawn_blocking(move || {
            let mut open = Vec::new();
            for _ in 0..4 {
                let (mut stream, _) = listener.accept().unwrap();
                std::io::Write::write_all(&mut stream, b"OK 1\n").unwrap();
                open.push(stream);
            }
            open
        });
        for dial in dials.drain(..) {
            dial.await.unwrap().unwrap();
        }
        answers.await.unwrap();
    }
}
