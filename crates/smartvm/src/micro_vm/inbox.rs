//! The requests to a driver, and which of them comes first.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::pin::pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::request::Request;
use crate::lifecycle::{VmState, admit};
use crate::snapshot::{UffdError, UffdHandler};

/// What handles ask for, in the order in which it is carried out: what ends the VM at once before
/// everything that came earlier.
pub(super) struct Inbox {
    requests: mpsc::Receiver<Request>,
    /// Requests that came while another was carried out, and that its outcome decides on.
    deferred: VecDeque<Request>,
}

/// What ended a wait in which urgent requests are still heard.
#[derive(Debug)]
pub(super) enum Outcome<T> {
    Done(T),
    /// A kill, a cleanup or a stop that had waited long enough came, and is the next request; or the last
    /// handle went.
    Interrupted,
    /// Nobody gives the guest its memory any more: what was asked of Firecracker may wait for that, and
    /// the guest is at its end.
    MemoryLost(UffdError),
}

impl Inbox {
    pub(super) const fn new(requests: mpsc::Receiver<Request>) -> Self {
        Self { requests, deferred: VecDeque::new() }
    }

    /// What came while another request was carried out.
    pub(super) fn deferred(&mut self) -> Option<Request> {
        self.deferred.pop_front()
    }

    /// The next request; none when the last handle is gone. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Request> {
        match self.deferred.pop_front() {
            Some(request) => Some(request),
            None => self.requests.recv().await,
        }
    }

    /// Awaits `work` in a state that lasts as long: urgent requests interrupt it and come next, those
    /// that the state refuses are refused at once, the others wait for its outcome. A failure of what gives
    /// the guest its memory interrupts it as well.
    pub(super) async fn unless_interrupted<T>(
        &mut self,
        state: VmState,
        uffd: &mut Option<UffdHandler>,
        work: impl Future<Output = T>,
    ) -> Outcome<T> {
        self.unless_stopped(state, uffd, work, None).await
    }

    /// The same for work that a stop does not wait for longer than `patience`: it comes next, too.
    pub(super) async fn unless_stopped<T>(
        &mut self,
        state: VmState,
        uffd: &mut Option<UffdHandler>,
        work: impl Future<Output = T>,
        patience: Option<Duration>,
    ) -> Outcome<T> {
        let mut work = pin!(work);
        let mut until = None;
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Outcome::Done(done),
                failed = memory_lost(uffd) => return Outcome::MemoryLost(failed),
                request = self.requests.recv() => match request {
                    None => return Outcome::Interrupted,
                    Some(request) if request.is_urgent() => {
                        self.deferred.push_front(request);
                        return Outcome::Interrupted;
                    }
                    Some(request) => match admit(state, request.call()) {
                        Ok(()) if request.is_stop() => {
                            until = until.or_else(|| patience.map(|patience| Instant::now() + patience));
                            self.deferred.push_back(request);
                        }
                        Ok(()) => self.deferred.push_back(request),
                        Err(refused) => request.refuse(refused.into()),
                    },
                },
                () = reached(until) => {
                    self.put_first(Request::is_stop);
                    return Outcome::Interrupted;
                }
            }
        }
    }

    /// Has the first request of a kind carried out before all others.
    fn put_first(&mut self, is_it: impl Fn(&Request) -> bool) {
        let place = self.deferred.iter().position(is_it);
        if let Some(request) = place.and_then(|place| self.deferred.remove(place)) {
            self.deferred.push_front(request);
        }
    }
}

/// Waits until the guest's page faults are not served any more; for ever where the kernel serves them.
pub(super) async fn memory_lost(handler: &mut Option<UffdHandler>) -> UffdError {
    match handler {
        Some(handler) => handler.failed().await,
        None => pending().await,
    }
}

async fn reached(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::lifecycle::Call;

    /// Requests whose callers wait for nothing.
    fn request(call: Call) -> Request {
        let patience = Duration::from_secs(10);
        match call {
            Call::Stop => Request::Stop { patience, reply: oneshot::channel().0 },
            Call::Kill => Request::Kill(oneshot::channel().0),
            Call::Cleanup => Request::Cleanup(oneshot::channel().0),
            Call::Pause => Request::Pause(oneshot::channel().0),
            other => panic!("no test asks for {other}"),
        }
    }

    /// What is carried out, in order, of what was asked while work was done that never ends.
    async fn order(asked: &[Call], patience: Option<Duration>) -> Vec<Call> {
        let (sender, receiver) = mpsc::channel(16);
        let mut inbox = Inbox::new(receiver);
        for call in asked {
            sender.send(request(*call)).await.unwrap();
        }
        let never = pending::<()>();
        let outcome = inbox.unless_stopped(VmState::Running, &mut None, never, patience).await;
        assert!(matches!(outcome, Outcome::Interrupted));
        drop(sender);
        let mut calls = Vec::new();
        while let Some(request) = inbox.next().await {
            calls.push(request.call());
        }
        calls
    }

    #[tokio::test]
    async fn what_ends_a_vm_at_once_does_not_wait_for_a_gentle_stop_before_it() {
        let calls = order(&[Call::Pause, Call::Stop, Call::Kill], None).await;
        assert_eq!(calls, [Call::Kill, Call::Pause, Call::Stop]);
        let calls = order(&[Call::Stop, Call::Cleanup], None).await;
        assert_eq!(calls, [Call::Cleanup, Call::Stop]);
    }

    #[tokio::test]
    async fn a_stop_interrupts_work_that_takes_too_long_and_comes_before_what_came_earlier() {
        let begun = Instant::now();
        let patience = Duration::from_millis(20);
        let calls = order(&[Call::Pause, Call::Stop, Call::Stop], Some(patience)).await;
        assert_eq!(calls, [Call::Stop, Call::Pause, Call::Stop]);
        assert!(begun.elapsed() >= patience, "and gives it that time before");
    }

    #[tokio::test]
    async fn work_that_ends_in_time_is_not_interrupted_by_a_stop() {
        let (sender, receiver) = mpsc::channel(16);
        let mut inbox = Inbox::new(receiver);
        sender.send(request(Call::Stop)).await.unwrap();
        let work = sleep_until(Instant::now() + Duration::from_millis(20));
        let patience = Some(Duration::from_secs(60));
        let outcome = inbox.unless_stopped(VmState::Running, &mut None, work, patience).await;
        assert!(matches!(outcome, Outcome::Done(())));
        assert_eq!(inbox.deferred().map(|request| request.call()), Some(Call::Stop));
    }
}
