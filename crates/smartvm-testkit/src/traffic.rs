//! A guest's stand-in that never stops calling the world, and the world that answers.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::{NetNamespace, PacketCapture, eventually};

/// The port of the world's answering.
const PORT: u16 = 7;
/// How long after the last answer, or the call, the next call is made.
const PATIENCE: Duration = Duration::from_millis(4);

/// Answers every call with a name and the call itself, until it is dropped.
#[derive(Debug)]
pub struct World {
    _worker: Worker,
}

/// Calls an address some hundred times a second, until it is dropped.
///
/// Each call is a datagram of its own with the mark and a number, so that each packet on the way can
/// be told.
#[derive(Debug)]
pub struct Traffic {
    _worker: Worker,
    calls: Arc<AtomicU64>,
    /// The number of the latest call that each part of the world answered.
    answered: Arc<Mutex<HashMap<String, u64>>>,
    mark: String,
}

#[derive(Debug)]
struct Worker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl World {
    /// Begins to answer at an address of a namespace, under a name.
    ///
    /// # Panics
    /// When the host does not let us.
    #[must_use]
    pub fn start(namespace: &NetNamespace, address: Ipv4Addr, name: &str) -> Self {
        // Bound to it, so that answers come from where the call went to.
        let socket = bind(namespace, (address, PORT).into());
        let name = name.to_owned();
        let worker = Worker::start(move |stop| {
            let mut buffer = [0; 2048];
            while !stop.load(Ordering::Relaxed) {
                if let Ok((length, caller)) = socket.recv_from(&mut buffer) {
                    let call = String::from_utf8_lossy(&buffer[..length]);
                    // Nobody may be listening any more, and no way back is no fault here.
                    let _ = socket.send_to(format!("{name} {call}").as_bytes(), caller);
                }
            }
        });
        Self { _worker: worker }
    }
}

impl Traffic {
    /// Begins to call `world` from a namespace, with `mark` in every packet.
    ///
    /// # Panics
    /// When the host does not let us.
    #[must_use]
    pub fn start(namespace: &NetNamespace, world: Ipv4Addr, mark: &str) -> Self {
        let socket = bind(namespace, (Ipv4Addr::UNSPECIFIED, 0).into());
        let calls = Arc::new(AtomicU64::new(0));
        let answered = Arc::new(Mutex::new(HashMap::new()));
        let (number, answers, text) = (Arc::clone(&calls), Arc::clone(&answered), mark.to_owned());
        let worker = Worker::start(move |stop| {
            let mut buffer = [0; 2048];
            while !stop.load(Ordering::Relaxed) {
                let call = number.fetch_add(1, Ordering::SeqCst) + 1;
                // That there is no way is what some tests want.
                let _ = socket.send_to(format!("{text} {call}").as_bytes(), (world, PORT));
                while let Ok(length) = socket.recv(&mut buffer) {
                    let text = String::from_utf8_lossy(&buffer[..length]);
                    let mut words = text.split(' ');
                    if let (Some(name), Some(call)) = (words.next(), words.nth(1)) {
                        let call: u64 = call.parse().expect("the world repeats the call");
                        let mut answers = answers.lock().expect("nothing panics with this lock");
                        answers.insert(name.to_owned(), call);
                    }
                }
            }
        });
        Self { _worker: worker, calls, answered, mark: mark.to_owned() }
    }

    /// Waits until a call that is made from now on is answered by the part of the world with that name.
    ///
    /// # Panics
    /// When there is none within that time.
    #[track_caller]
    pub fn expect_answer(&self, from: &str, within: Duration) {
        let now = self.calls.load(Ordering::SeqCst);
        let what = format!("`{from}` answers a call of `{}`", self.mark);
        eventually(within, &what, || (self.latest(from) > now).then_some(()));
    }

    /// Waits until so many more calls were made.
    ///
    /// # Panics
    /// When they were not within a minute.
    #[track_caller]
    pub fn make_calls(&self, calls: u64) {
        let goal = self.calls.load(Ordering::SeqCst) + calls;
        eventually(Duration::from_secs(60), "enough calls were made", || {
            (self.calls.load(Ordering::SeqCst) > goal).then_some(())
        });
    }

    /// The number of the latest call that a part of the world has answered; 0 for none.
    #[must_use]
    pub fn latest(&self, from: &str) -> u64 {
        let answered = self.answered.lock().expect("nothing panics while it holds this lock");
        answered.get(from).copied().unwrap_or(0)
    }

    /// How many calls were made.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    /// The calls in a recording that were begun after the call `since`, by their numbers: calls, their
    /// answers, and whatever else repeats one of them.
    #[must_use]
    pub fn seen(&self, capture: &PacketCapture, since: u64) -> Vec<u64> {
        self.find(capture, since, |_| true)
    }

    /// The same without answers and what repeats them.
    #[must_use]
    pub fn sent(&self, capture: &PacketCapture, since: u64) -> Vec<u64> {
        // An answer has the name of who gives it in front.
        self.find(capture, since, |before| !before.ends_with(b" "))
    }

    fn find(
        &self,
        capture: &PacketCapture,
        since: u64,
        counts: impl Fn(&[u8]) -> bool,
    ) -> Vec<u64> {
        let mark = format!("{} ", self.mark);
        capture.pick(|frame| {
            let at = memchr::memmem::find(frame, mark.as_bytes())?;
            let digits = String::from_utf8_lossy(&frame[at + mark.len()..]);
            let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            digits[..end].parse().ok().filter(|call| *call > since && counts(&frame[..at]))
        })
    }
}

fn bind(namespace: &NetNamespace, address: SocketAddr) -> UdpSocket {
    namespace.run(|| {
        let socket = UdpSocket::bind(address).expect("a namespace of its own has free ports");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket has a timeout");
        socket
    })
}

impl Worker {
    fn start(work: impl FnOnce(&AtomicBool) + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        Self { stop, thread: Some(thread::spawn(move || work(&stopped))) }
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Its panic has been printed, and this may be a panic already.
            let _ = thread.join();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
    }
}
