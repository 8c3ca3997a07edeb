//! Waiting for a guest's end.

use std::future::pending;
use std::time::Duration;

use smartvm_firecracker::{Console, ConsoleReader};
use tokio::sync::watch;
use tokio::time::timeout;

use super::console_watch::ConsoleWatch;
use super::vcpu_time::VcpuTime;

/// How long a powered-down guest must be silent and idle to count as ended.
const QUIET: Duration = Duration::from_secs(2);

/// How long the last of the console may take when Firecracker has gone.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Follows a guest's console for signs of its end, in a task of its own that ends with the console. Takes bounded memory,
/// whatever the guest prints.
#[derive(Debug)]
pub(in crate::micro_vm) struct EndWatch {
    seen: watch::Receiver<Seen>,
}

/// What was seen so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Seen {
    panicked: bool,
    powered_off: bool,
}

impl EndWatch {
    /// Of the guest of the Firecracker with this process id.
    pub(in crate::micro_vm) fn of(console: &Console, pid: u32) -> Self {
        let (publish, seen) = watch::channel(Seen::default());
        tokio::spawn(follow(console.reader(), VcpuTime::of(pid), publish));
        Self { seen }
    }

    /// Waits until the guest has powered off, as the module documentation says; for ever when it does not.
    /// Cancel-safe.
    pub(in crate::micro_vm) async fn powered_off(&mut self) {
        if self.seen.wait_for(|seen| seen.powered_off).await.is_err() {
            // The console is closed: Firecracker has ended.
            pending::<()>().await;
        }
    }

    /// Whether the guest's kernel panicked, when Firecracker has ended. Waits for the last of its console.
    pub(in crate::micro_vm) async fn panicked(mut self) -> bool {
        // What holds the console open otherwise is no guest of ours.
        let _ = timeout(LAST_WORDS, self.seen.wait_for(|_| false)).await;
        self.seen.borrow().panicked
    }
}

async fn follow(mut console: ConsoleReader, vcpus: VcpuTime, publish: watch::Sender<Seen>) {
    let mut watch = ConsoleWatch::default();
    loop {
        let chunk = if watch.powered_down && !publish.borrow().powered_off {
            let before = vcpus.nanoseconds();
            match timeout(QUIET, console.next()).await {
                Ok(chunk) => chunk,
                Err(_) => {
                    let powered_off = before.is_some() && vcpus.nanoseconds() == before;
                    publish.send_modify(|seen| seen.powered_off = powered_off);
                    continue;
                }
            }
        } else {
            console.next().await
        };
        let Some(chunk) = chunk else { return };
        watch.feed(&chunk.bytes);
        publish.send_modify(|seen| seen.panicked = watch.panicked);
    }
}
