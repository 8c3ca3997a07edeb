//! A server that plays a Firecracker with faults.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

/// What the server does with one request.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Sends these bytes.
    Answer(Vec<u8>),
    /// Sends these bytes once the test says [`BrokenFirecracker::release`].
    AnswerWhenReleased(Vec<u8>),
    /// Sends these bytes, then nothing more, and waits for the client to close the connection.
    AnswerThenStall(Vec<u8>),
    /// Sends these bytes one at a time.
    Dribble(Vec<u8>),
    /// Sends these bytes over and over, until the client closes the connection.
    Repeat(Vec<u8>),
    /// Sends nothing and waits for the client to close the connection.
    Ignore,
}

/// A server on a socket of its own. It performs one list of acts a connection, an act a request,
/// and closes each connection when its list is done.
#[derive(Debug)]
pub(crate) struct BrokenFirecracker {
    dir: TempDir,
    requests: Arc<Mutex<Vec<String>>>,
    closed: watch::Receiver<usize>,
    release: watch::Sender<bool>,
}

impl BrokenFirecracker {
    pub(crate) fn serve(connections: Vec<Vec<Act>>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("socket")).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (closed_sender, closed) = watch::channel(0);
        let (release, released) = watch::channel(false);
        let log = Arc::clone(&requests);
        tokio::spawn(async move {
            for acts in connections {
                let (stream, _) = listener.accept().await.unwrap();
                let (log, released) = (Arc::clone(&log), released.clone());
                let closed = closed_sender.clone();
                tokio::spawn(async move {
                    perform(acts, stream, &log, released).await;
                    closed.send_modify(|count| *count += 1);
                });
            }
            // Whoever connects now is refused.
        });
        Self { dir, requests, closed, release }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    /// The first lines of all requests that came, in their order.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn release(&self) {
        self.release.send_replace(true);
    }

    /// Waits until the server has closed so many connections.
    pub(crate) async fn closed(&self, count: usize) {
        self.closed.clone().wait_for(|closed| *closed >= count).await.unwrap();
    }
}

/// An answer with this status line, no further headers, and a body.
pub(crate) fn answer(status: &str, body: &str) -> Act {
    Act::Answer(bytes(status, body))
}

pub(crate) fn bytes(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

pub(crate) fn version_answer(version: &str) -> Act {
    answer("200 OK", &format!(r#"{{"firecracker_version":"{version}"}}"#))
}

async fn perform(
    acts: Vec<Act>,
    mut stream: UnixStream,
    log: &Mutex<Vec<String>>,
    mut released: watch::Receiver<bool>,
) {
    for act in acts {
        let Some(request) = read_request(&mut stream).await else { return };
        log.lock().unwrap().push(request);
        match act {
            Act::Answer(bytes) => drop(stream.write_all(&bytes).await),
            Act::AnswerWhenReleased(bytes) => {
                released.wait_for(|released| *released).await.unwrap();
                drop(stream.write_all(&bytes).await);
            }
            Act::AnswerThenStall(bytes) => {
                drop(stream.write_all(&bytes).await);
                drop(read_request(&mut stream).await);
            }
            Act::Dribble(bytes) => {
                for byte in bytes {
                    drop(stream.write_all(&[byte]).await);
                    tokio::task::yield_now().await;
                }
            }
            Act::Repeat(bytes) => while stream.write_all(&bytes).await.is_ok() {},
            // Until the client closes the connection.
            Act::Ignore => drop(read_request(&mut stream).await),
        }
    }
}

/// The first line of a request, after its head and body were read. `None` at the end.
async fn read_request(stream: &mut UnixStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.ok()?;
    Some(head.lines().next()?.to_owned())
}
