//! What packets pass through a network namespace.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{AddressFamily, Protocol, RecvFlags, SocketFlags, SocketType, recv, socket_with};

use crate::{NetNamespace, eventually};

/// `ETH_P_ALL`, in the order of the network.
const ALL: u32 = 0x0300;
/// How long the reader waits before it looks whether it is to end.
const PATIENCE: Duration = Duration::from_millis(20);

/// A recording of every frame that any link of a namespace sends or receives, from the moment that
/// the value is made until it is dropped.
#[derive(Debug)]
pub struct PacketCapture {
    frames: Arc<Mutex<Vec<Arc<[u8]>>>>,
    stop: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl PacketCapture {
    /// Begins a recording.
    ///
    /// # Panics
    /// When the host does not let us.
    #[must_use]
    pub fn start(namespace: &NetNamespace) -> Self {
        let socket = namespace.run(|| {
            let protocol = Protocol::from_raw(NonZeroU32::new(ALL).expect("it is not zero"));
            let (family, kind) = (AddressFamily::PACKET, SocketType::RAW);
            let socket = socket_with(family, kind, SocketFlags::CLOEXEC, Some(protocol))
                .expect("root can record packets");
            sockopt::set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))
                .expect("a socket has a timeout");
            // Frames that come faster than they are read are kept here, and lost when it is full.
            sockopt::set_socket_recv_buffer_size_force(&socket, 64 << 20)
                .expect("root can have a large buffer");
            socket
        });
        let frames = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (kept, stopped) = (Arc::clone(&frames), Arc::clone(&stop));
        let reader = thread::spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            while !stopped.load(Ordering::Relaxed) {
                match recv(&socket, buffer.as_mut_slice(), RecvFlags::empty()) {
                    Ok((length, _)) => {
                        let frame = buffer[..length].into();
                        kept.lock().expect("nothing panics while it holds this lock").push(frame);
                    }
                    Err(Errno::AGAIN | Errno::INTR) => {}
                    Err(error) => panic!("cannot record packets: {error}"),
                }
            }
        });
        Self { frames, stop, reader: Some(reader) }
    }

    /// What `pick` makes of each recorded frame, the oldest first.
    #[must_use]
    pub fn pick<T>(&self, pick: impl FnMut(&[u8]) -> Option<T>) -> Vec<T> {
        self.since(0).iter().map(AsRef::as_ref).filter_map(pick).collect()
    }

    /// How many of the recorded frames have these bytes in them.
    #[must_use]
    pub fn count(&self, bytes: &[u8]) -> usize {
        self.pick(|frame| has(frame, bytes).then_some(())).len()
    }

    /// Waits until a frame is recorded that has these bytes in it, sent by `send`.
    ///
    /// # Panics
    /// When there is none within that time.
    #[track_caller]
    pub fn expect(&self, bytes: &[u8], within: Duration, send: impl FnOnce()) {
        let mut seen = self.since(0).len();
        send();
        eventually(within, "a packet is recorded", || {
            let new = self.since(seen);
            seen += new.len();
            new.iter().any(|frame| has(frame, bytes)).then_some(())
        });
    }

    /// The frames after the first `seen` ones. Nothing is looked at while the recording waits.
    fn since(&self, seen: usize) -> Vec<Arc<[u8]>> {
        let frames = self.frames.lock().expect("nothing panics while it holds this lock");
        frames.get(seen..).unwrap_or_default().to_vec()
    }
}

fn has(frame: &[u8], bytes: &[u8]) -> bool {
    memchr::memmem::find(frame, bytes).is_some()
}

impl Drop for PacketCapture {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            // Its panic has been printed, and this may be a panic already.
            let _ = reader.join();
        }
    }
}
