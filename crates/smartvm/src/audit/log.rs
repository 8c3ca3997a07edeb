//! Taking lines, without ever holding anybody up.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::geteuid;

use super::entry::{Asker, AuditEntry, AuditPhase};
use super::file::AuditFile;
use crate::options::SmartVmOptions;

/// How many lines wait for the disk; more are left out and counted.
const WAITING: usize = 1024;

/// How long the end of a process may wait for the disk.
const FLUSH_PATIENCE: Duration = Duration::from_secs(1);

/// The audit log of one manager. Clones are the same. What is noted is written by a thread of its own,
/// which ends when the last clone is dropped; await [`flush`](Self::flush) before the process ends.
#[derive(Debug, Clone)]
pub struct AuditLog {
    queue: Option<Arc<Queue>>,
}

#[derive(Debug)]
struct Queue {
    lines: SyncSender<Message>,
    /// Lines that there was no room for.
    lost: AtomicU64,
}

enum Message {
    Line(Vec<u8>),
    /// Everything before it is written when this is dropped.
    Flush(#[expect(dead_code, reason = "dropped, not read")] SyncSender<()>),
}

/// A request that was asked for, and whose answer is written when it comes, or when this is dropped.
#[derive(Debug)]
#[must_use = "dropping it says that nobody knows the outcome"]
pub struct AuditedRequest {
    log: AuditLog,
    asker: Asker,
    vm: String,
    action: String,
    detail: Option<String>,
    asked: Instant,
    told: bool,
}

impl AuditLog {
    /// The log that these options ask for: none when it is turned off. Nothing is made before the
    /// first line.
    #[must_use]
    pub fn of(options: &SmartVmOptions) -> Self {
        if options.audit.unwrap_or_else(|| geteuid().is_root()) {
            Self::in_dir(Self::dir(&options.data_dir))
        } else {
            Self { queue: None }
        }
    }

    /// Where the log of a data directory is.
    #[must_use]
    pub fn dir(data_dir: &Path) -> PathBuf {
        data_dir.join("audit")
    }

    fn in_dir(dir: PathBuf) -> Self {
        let (lines, waiting) = sync_channel(WAITING);
        let queue = Arc::new(Queue { lines, lost: AtomicU64::new(0) });
        let losses = Arc::downgrade(&queue);
        let writer = thread::Builder::new().name("smartvm-audit".to_owned());
        let started = writer.spawn(move || {
            let lost = || losses.upgrade().map_or(0, |queue| queue.lost.swap(0, Ordering::Relaxed));
            write(&waiting, AuditFile::new(dir), lost);
        });
        match started {
            Ok(_) => Self { queue: Some(queue) },
            Err(error) => {
                tracing::warn!(%error, "there is no audit log");
                Self { queue: None }
            }
        }
    }

    /// Notes that this process is asked to do something to a VM. `detail` must hold no secret.
    pub fn asked(&self, vm: &str, action: &str, detail: Option<&str>) -> AuditedRequest {
        self.asked_by(None, vm, action, detail)
    }

    /// Notes that somebody asks for something; this process, if nobody is named.
    pub(crate) fn asked_by(
        &self,
        asker: Option<Asker>,
        vm: &str,
        action: &str,
        detail: Option<&str>,
    ) -> AuditedRequest {
        let request = AuditedRequest {
            log: self.clone(),
            asker: asker.unwrap_or_else(Asker::this_process),
            vm: vm.to_owned(),
            action: action.to_owned(),
            detail: detail.map(str::to_owned),
            asked: Instant::now(),
            told: false,
        };
        self.note(&request.entry(AuditPhase::Asked));
        request
    }

    /// Notes something that nobody asked for.
    pub(crate) fn happened(&self, vm: &str, action: &str, outcome: &str) {
        let asker = Asker::this_process();
        let mut entry = AuditEntry::new(asker, Some(vm), action, AuditPhase::Done, None);
        entry.outcome = Some(outcome.to_owned());
        self.note(&entry);
    }

    /// Waits until all that was noted is written, a second at most.
    ///
    /// # Cancellation
    /// Safe: it is written all the same.
    pub async fn flush(&self) {
        let log = self.clone();
        // Only a panic could make it fail.
        let _ = tokio::task::spawn_blocking(move || log.flush_blocking()).await;
    }

    /// The same for who has no runtime.
    pub fn flush_blocking(&self) {
        let Some(queue) = &self.queue else { return };
        let (done, written) = sync_channel(0);
        if queue.lines.try_send(Message::Flush(done)).is_ok() {
            // The sender is dropped when it comes to that: it never says anything.
            let _ = written.recv_timeout(FLUSH_PATIENCE);
        }
    }

    fn note(&self, entry: &AuditEntry) {
        let Some(queue) = &self.queue else { return };
        let Ok(mut line) = serde_json::to_vec(entry) else { return };
        line.push(b'\n');
        match queue.lines.try_send(Message::Line(line)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                queue.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl AuditedRequest {
    /// Notes how it went: the error's stable code, if there is one.
    pub fn done(mut self, code: Option<&str>) {
        self.tell(code.unwrap_or("ok"));
    }

    fn tell(&mut self, outcome: &str) {
        self.told = true;
        let mut entry = self.entry(AuditPhase::Done);
        entry.outcome = Some(outcome.to_owned());
        entry.ms = Some((self.asked.elapsed().as_secs_f64() * 1e6).round() / 1e3);
        self.log.note(&entry);
    }

    fn entry(&self, phase: AuditPhase) -> AuditEntry {
        let detail = self.detail.as_deref();
        AuditEntry::new(self.asker, Some(&self.vm), &self.action, phase, detail)
    }
}

impl Drop for AuditedRequest {
    fn drop(&mut self) {
        if !self.told {
            self.tell("unknown");
        }
    }
}

/// Writes lines until nobody can send one.
fn write(waiting: &Receiver<Message>, mut file: AuditFile, lost: impl Fn() -> u64) {
    let mut failing = false;
    // Lines that were not written, or never came here.
    let mut missing = 0;
    for message in waiting {
        let Message::Line(line) = message else { continue };
        missing += lost();
        let mut text = Vec::new();
        if missing > 0 {
            let asker = Asker::this_process();
            let count = missing.to_string();
            let entry = AuditEntry::new(asker, None, "lost", AuditPhase::Done, Some(&count));
            text = serde_json::to_vec(&entry).unwrap_or_default();
            text.push(b'\n');
        }
        text.extend(line);
        match file.append(&text) {
            Ok(()) => {
                missing = 0;
                failing = false;
            }
            Err(error) => {
                missing += 1;
                if !failing {
                    tracing::warn!(%error, "the audit log cannot be written");
                }
                failing = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::read_audit;

    fn entries(dir: &Path) -> Vec<AuditEntry> {
        read_audit(dir, |_| true).unwrap()
    }

    #[tokio::test]
    async fn a_request_has_two_lines_and_one_that_nobody_waits_for_too() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("audit");
        let log = AuditLog::in_dir(dir.clone());
        log.asked("web", "start", None).done(None);
        log.asked("web", "pause", None).done(Some("INVALID_STATE"));
        drop(log.asked_by(Some(Asker::peer(1000, Some(i32::MAX))), "web", "kill", None));
        log.flush().await;
        let found: Vec<_> = entries(&dir)
            .into_iter()
            .map(|entry| (entry.uid, entry.action, entry.phase, entry.outcome))
            .collect();
        let us = rustix::process::getuid().as_raw();
        let line = |uid, action: &str, phase, outcome: Option<&str>| {
            (uid, action.to_owned(), phase, outcome.map(str::to_owned))
        };
        use AuditPhase::{Asked, Done};
        assert_eq!(
            found,
            [
                line(us, "start", Asked, None),
                line(us, "start", Done, Some("ok")),
                line(us, "pause", Asked, None),
                line(us, "pause", Done, Some("INVALID_STATE")),
                line(1000, "kill", Asked, None),
                line(1000, "kill", Done, Some("unknown")),
            ]
        );
    }

    #[tokio::test]
    async fn a_log_that_cannot_be_written_holds_nobody_up_and_says_later_what_is_missing() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("audit");
        fs_err::write(&dir, "in the way").unwrap();
        let log = AuditLog::in_dir(dir.clone());
        for _ in 0..3 {
            log.happened("web", "ended", "crashed");
        }
        log.flush().await;
        fs_err::remove_file(&dir).unwrap();
        log.happened("web", "ended", "stopped");
        log.flush().await;
        let found = entries(&dir);
        assert_eq!(found.len(), 2);
        assert_eq!((&*found[0].action, found[0].detail.as_deref()), ("lost", Some("3")));
        assert_eq!(found[1].outcome.as_deref(), Some("stopped"));
    }

    #[test]
    fn more_lines_than_the_disk_takes_are_counted_and_wait_for_nobody() {
        let (lines, waiting) = sync_channel(2);
        let queue = Arc::new(Queue { lines, lost: AtomicU64::new(0) });
        let log = AuditLog { queue: Some(Arc::clone(&queue)) };
        for _ in 0..10 {
            log.happened("web", "ended", "crashed");
        }
        assert_eq!(queue.lost.load(Ordering::Relaxed), 8);
        drop(waiting);
    }
}
