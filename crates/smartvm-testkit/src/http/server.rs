//! A server that answers as a function says.

use std::fmt;
use std::io::{self, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::answer::Answer;
use super::certificate::Certificate;
use super::request::Request;

type Handler = dyn Fn(&Request) -> Answer + Send + Sync;

/// A server on a free port, of the loopback interface as a rule, one thread a connection. Dropped, it ends, and its
/// connections with it.
pub struct HttpServer {
    address: SocketAddr,
    listener: TcpListener,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    handler: Box<Handler>,
    tls: Option<Arc<rustls::ServerConfig>>,
    requests: Mutex<Vec<Request>>,
    connections: Mutex<Vec<TcpStream>>,
    ended: AtomicBool,
}

impl HttpServer {
    /// Starts a server.
    ///
    /// # Panics
    /// When no port can be had.
    pub fn start(handler: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::serve(Ipv4Addr::LOCALHOST, None, Box::new(handler))
    }

    /// Starts a server that speaks HTTPS with this certificate.
    ///
    /// # Panics
    /// When no port can be had.
    pub fn start_tls(
        certificate: &Certificate,
        handler: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::serve(Ipv4Addr::LOCALHOST, Some(certificate.config()), Box::new(handler))
    }

    /// Starts a server at an address of the network namespace that the calling thread is in, which speaks HTTPS
    /// when it has a certificate.
    ///
    /// # Panics
    /// When the address is none of it, or no port can be had.
    pub fn start_at(
        address: Ipv4Addr,
        certificate: Option<&Certificate>,
        handler: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::serve(address, certificate.map(Certificate::config), Box::new(handler))
    }

    fn serve(
        address: Ipv4Addr,
        tls: Option<Arc<rustls::ServerConfig>>,
        handler: Box<Handler>,
    ) -> Self {
        let listener = TcpListener::bind((address, 0)).expect("a port can be had");
        let address = listener.local_addr().expect("the port has a number");
        let shared = Arc::new(Shared {
            handler,
            tls,
            requests: Mutex::default(),
            connections: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let waiting = listener.try_clone().expect("a socket can be had twice");
        let acceptor = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                for stream in waiting.incoming() {
                    if shared.ended.load(Ordering::SeqCst) {
                        return;
                    }
                    let Ok(stream) = stream else { continue };
                    let shared = Arc::clone(&shared);
                    if let Ok(handle) = stream.try_clone() {
                        lock(&shared.connections).push(handle);
                    }
                    // A client that breaks off is no fault of the server.
                    std::thread::spawn(move || drop(shared.serve(stream)));
                }
            }
        });
        Self { address, listener, shared, acceptor: Some(acceptor) }
    }

    /// The address of a path, which begins with a `/`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        match &self.shared.tls {
            None => format!("http://{}{path}", self.address),
            Some(_) => format!("https://localhost:{}{path}", self.address.port()),
        }
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What was asked for so far, in the order of its coming.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.requests).clone()
    }

    /// How many connections there were so far, whether anything was asked for on them or not.
    #[must_use]
    pub fn connections(&self) -> usize {
        lock(&self.shared.connections).len()
    }

    /// How often a path was asked for.
    #[must_use]
    pub fn count(&self, path: &str) -> usize {
        self.requests().iter().filter(|request| request.path == path).count()
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        if let Some(config) = &self.tls {
            let connection =
                rustls::ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
            let mut tls = rustls::StreamOwned::new(connection, stream);
            self.answer(&mut tls)?;
            tls.conn.send_close_notify();
            tls.flush()?;
            stream = tls.sock;
        } else {
            self.answer(&mut stream)?;
        }
        stream.shutdown(Shutdown::Both)
    }

    fn answer(&self, stream: &mut (impl Read + Write)) -> io::Result<()> {
        let Some(request) = Request::read(&mut BufReader::new(&mut *stream))? else {
            return Ok(());
        };
        lock(&self.requests).push(request.clone());
        (self.handler)(&request).send(stream)
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        for connection in lock(&self.shared.connections).drain(..) {
            // It may have ended by itself.
            let _ = connection.shutdown(Shutdown::Both);
        }
        // Wakes the thread that waits for connections, in whichever network it is.
        let _ = rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both);
        if let Some(acceptor) = self.acceptor.take() {
            drop(acceptor.join());
        }
    }
}

impl fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpServer({})", self.address)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
