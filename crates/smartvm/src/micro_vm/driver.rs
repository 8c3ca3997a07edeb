//! The task that owns a VM's process and files.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use smartvm_firecracker::api::VmRunState;
use smartvm_firecracker::{
    ApiClient, ConsoleRecording, FirecrackerProcess, PipeCopy, ProcessExit, TERM_THEN_KILL,
};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::attempt::{Attempt, Left};
use super::call::call;
use super::device_files::DeviceFiles;
use super::dir_keeper::DirKeeper;
use super::guest_end::EndWatch;
use super::handle::{GuestSocket, Published, Running, VmSetup};
use super::inbox::{Inbox, Outcome, memory_lost};
use super::report::{EndCause, StartReport, StopReport, VmEnd};
use super::request::{Reply, Request};
use super::save::{Capture, Subject};
use super::start::{Started, start};
use super::stop::{KILL_NOW, stop};
use super::update::{Target, Update};
use crate::home::VmDir;
use crate::lifecycle::{Call, VmState, admit};
use crate::smart_vm_error::SmartVmError;
use crate::snapshot::{CreateSnapshot, Snapshot, SnapshotError, UffdError, UffdHandler};
use crate::vsock::Doorbell;

/// How long the recording of the console may take after the guest's end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How long a stop waits for a snapshot that is being made, and that would be lost otherwise.
const SAVE_PATIENCE: Duration = Duration::from_secs(5);

/// Owns one VM. Everything that changes the host for this VM happens in its task.
pub(super) struct Driver {
    setup: Arc<VmSetup>,
    inbox: Inbox,
    state: watch::Sender<VmState>,
    end: watch::Sender<Option<VmEnd>>,
    /// Tells when the VM's directory was made again.
    restored: watch::Sender<()>,
    running: Arc<Mutex<Running>>,
    live: Option<Live>,
    /// The directory of a VM that has ended, until all of it is removed.
    left: Option<VmDir>,
}

/// A started Firecracker and what belongs to it.
struct Live {
    process: FirecrackerProcess,
    client: Arc<ApiClient>,
    dir: VmDir,
    recording: Option<ConsoleRecording>,
    serial: Option<PipeCopy>,
    /// What sees an end of the guest that Firecracker does not.
    end_watch: EndWatch,
    files: DeviceFiles,
    keeper: DirKeeper,
    /// What gives the guest its memory, where it is not the kernel. Dropped last.
    uffd: Option<UffdHandler>,
    /// Hears the guest for as long as it lives.
    _doorbell: Option<Doorbell>,
    /// The snapshot that the guest's changes are counted from.
    counted_from: Option<Uuid>,
}

impl Driver {
    pub(super) fn new(setup: Arc<VmSetup>, requests: mpsc::Receiver<Request>) -> (Self, Published) {
        let (state, watch_state) = watch::channel(VmState::Created);
        let (end, watch_end) = watch::channel(None);
        let (restored, watch_restored) = watch::channel(());
        let running = Arc::new(Mutex::new(Running::default()));
        let published = Published {
            state: watch_state,
            end: watch_end,
            restored: watch_restored,
            running: Arc::clone(&running),
        };
        let inbox = Inbox::new(requests);
        let driver = Self { setup, inbox, state, end, restored, running, live: None, left: None };
        (driver, published)
    }

    /// Serves requests until the last handle is gone, then removes what is left.
    pub(super) async fn run(mut self) {
        while let Some(request) = self.next_request().await {
            self.carry_out(request).await;
        }
        self.kill().await;
        if let Err(error) = self.remove_files().await {
            tracing::warn!(vm = %self.setup.spec.id(), %error, "files were left behind");
        }
    }

    /// The next request; meanwhile the end of the process is noticed.
    async fn next_request(&mut self) -> Option<Request> {
        if let Some(request) = self.inbox.deferred() {
            return Some(request);
        }
        loop {
            let Some(live) = &mut self.live else {
                return self.inbox.next().await;
            };
            let Live { process, uffd, keeper, end_watch, .. } = live;
            tokio::select! {
                // The guest's end outranks what is asked of the guest.
                biased;
                exit = process.exited() => {
                    let cause =
                        if exit.is_clean() { EndCause::GuestEnded } else { EndCause::Crashed };
                    self.ended(cause, Some(exit)).await;
                }
                failed = memory_lost(uffd) => self.memory_lost(&failed).await,
                () = keeper.lost() => self.put_right().await,
                () = end_watch.powered_off() => {
                    let termination = process.terminate(&TERM_THEN_KILL).await;
                    self.ended(EndCause::PoweredOff, termination.exit).await;
                }
                request = self.inbox.next() => return request,
            }
        }
    }

    async fn carry_out(&mut self, request: Request) {
        if let Err(refused) = admit(*self.state.borrow(), request.call()) {
            request.refuse(refused.into());
            return;
        }
        // A caller that has gone away gets no answer, and needs none.
        match request {
            Request::Start(reply) => drop(reply.send(self.start().await)),
            Request::Pause(reply) => drop(reply.send(self.switch(Call::Pause).await)),
            Request::Resume(reply) => drop(reply.send(self.switch(Call::Resume).await)),
            Request::Save { snapshot, reply } => self.save(snapshot, reply).await,
            Request::Stop { patience, reply } => drop(reply.send(Ok(self.stop(patience).await))),
            Request::Kill(reply) => {
                self.kill().await;
                drop(reply.send(Ok(())));
            }
            Request::Cleanup(reply) => {
                self.kill().await;
                drop(reply.send(self.cleanup().await));
            }
            Request::Update { update, reply } => drop(reply.send(self.update(*update).await)),
        }
    }

    async fn start(&mut self) -> Result<StartReport, SmartVmError> {
        self.state.send_replace(VmState::Configuring);
        let setup = Arc::clone(&self.setup);
        let mut attempt = Attempt::default();
        let (starting, state) = (start(&setup, &mut attempt), VmState::Configuring);
        let outcome = self.inbox.unless_interrupted(state, &mut None, starting).await;
        let error = match outcome {
            Outcome::Done(Ok(started)) => return Ok(self.started(started, attempt)),
            Outcome::Done(Err(error)) => error,
            Outcome::Interrupted => SmartVmError::Interrupted { call: Call::Start },
            Outcome::MemoryLost(error) => SnapshotError::from(error).into(),
        };
        if let Err(Left { dir, error }) = attempt.undo().await {
            tracing::warn!(vm = %setup.spec.id(), %error, "a failed start left files behind");
            self.left = dir;
        }
        self.state.send_replace(VmState::Error);
        let exit = error.process_exit().cloned();
        self.end.send_replace(Some(VmEnd { cause: EndCause::StartFailed, exit }));
        Err(error)
    }

    fn started(&mut self, started: Started, attempt: Attempt) -> StartReport {
        let Started { client, report, state, counted_from } = started;
        let (Some(process), Some(dir), Some(images), Some(disk)) =
            (attempt.process, attempt.dir, attempt.images, attempt.disk)
        else {
            unreachable!("a start succeeds only after it took images, a directory and a process");
        };
        let client = Arc::new(client);
        self.publish(|running| {
            running.console = Some(process.console());
            running.log = Some(process.log());
            running.metrics = process.metrics();
            running.process_id = Some(process.identity().pid);
            running.client = Some(Arc::clone(&client));
            running.guest = attempt.doorbell.as_ref().map(|doorbell| GuestSocket {
                work_dir: dir.work_dir(),
                firecracker: process.identity().pid,
                rings: doorbell.rings(),
            });
        });
        let files = DeviceFiles::of(&self.setup, dir.work_dir(), images, disk);
        let Attempt { recording, serial, uffd, doorbell, .. } = attempt;
        let keeper = DirKeeper::of(self.setup.spec.id(), &dir);
        let end_watch = EndWatch::of(&process.console(), process.identity().pid);
        self.live = Some(Live {
            process,
            client,
            dir,
            recording,
            serial,
            end_watch,
            files,
            keeper,
            uffd,
            _doorbell: doorbell,
            counted_from,
        });
        self.state.send_replace(state);
        report
    }

    /// Puts back what somebody else has removed of the VM's directory.
    async fn put_right(&mut self) {
        let Some(live) = &mut self.live else { return };
        if live.keeper.put_right(self.setup.spec.id(), &mut live.dir).await {
            self.restored.send_replace(());
        }
    }

    /// Pauses or resumes.
    async fn switch(&mut self, to: Call) -> Result<(), SmartVmError> {
        let (wanted, during, reached) = match to {
            Call::Pause => (VmRunState::Paused, "pause the guest", VmState::Paused),
            _ => (VmRunState::Resumed, "resume the guest", VmState::Running),
        };
        let Some(mut live) = self.live.take() else {
            return Err(SmartVmError::NoClient { call: during });
        };
        let Live { process, client, uffd, .. } = &mut live;
        let switching = call(process, during, client.set_vm_state(wanted));
        let state = *self.state.borrow();
        let outcome = self.inbox.unless_interrupted(state, uffd, switching).await;
        self.live = Some(live);
        match outcome {
            Outcome::Done(Ok(())) => {
                self.state.send_replace(reached);
                Ok(())
            }
            Outcome::Done(Err(error)) => Err(error),
            Outcome::Interrupted => Err(SmartVmError::Interrupted { call: to }),
            Outcome::MemoryLost(error) => Err(self.end_without_memory(error).await),
        }
    }

    /// Changes something about the guest; its state stays.
    async fn update(&mut self, update: Update) -> Result<(), SmartVmError> {
        let call = update.call();
        let Some(mut live) = self.live.take() else {
            return Err(SmartVmError::NoClient { call: call.phrase() });
        };
        let outcome = {
            let Live { process, client, files, uffd, .. } = &mut live;
            let mut target = Target { process, client, files };
            let state = *self.state.borrow();
            self.inbox.unless_interrupted(state, uffd, target.apply(update)).await
        };
        live.files.settled().await;
        self.live = Some(live);
        match outcome {
            Outcome::Done(done) => done,
            Outcome::Interrupted => Err(SmartVmError::Interrupted { call: Call::Live(call) }),
            Outcome::MemoryLost(error) => Err(self.end_without_memory(error).await),
        }
    }

    /// Saves the guest. Once it runs again, the rest is done beside whatever comes next.
    async fn save(&mut self, request: CreateSnapshot, reply: Reply<Snapshot>) {
        let Some(mut live) = self.live.take() else {
            drop(reply.send(Err(SmartVmError::NoClient { call: "snapshot" })));
            return;
        };
        let setup = Arc::clone(&self.setup);
        let state = *self.state.borrow();
        let subject = Subject {
            setup: &setup,
            process: &live.process,
            client: &live.client,
            work_dir: live.dir.work_dir(),
            jail: live.dir.jail(),
            files: &live.files,
            state,
            counted_from: live.counted_from,
        };
        let mut capture = Capture::default();
        let saving = subject.save(&request, &mut capture);
        let patience = Some(SAVE_PATIENCE);
        let outcome = self.inbox.unless_stopped(state, &mut live.uffd, saving, patience).await;
        if capture.progress.paused {
            self.state.send_replace(VmState::Paused);
        }
        if capture.progress.asked {
            // Firecracker counts changes from here on, whatever becomes of the snapshot.
            live.counted_from = None;
        }
        let error = match outcome {
            Outcome::Done(Ok(manifest)) => {
                live.counted_from = Some(manifest.id);
                self.live = Some(live);
                let draft = capture.take_draft().expect("a snapshot that was saved has its draft");
                tokio::task::spawn_blocking(move || {
                    let published = draft.publish(manifest).map_err(SnapshotError::from);
                    // A caller that has gone away finds it in the store.
                    drop(reply.send(published.map_err(SmartVmError::from)));
                });
                return;
            }
            Outcome::Done(Err(error)) => error,
            Outcome::Interrupted => SmartVmError::Interrupted { call: Call::Snapshot },
            Outcome::MemoryLost(error) => {
                self.live = Some(live);
                let error = self.end_without_memory(error).await;
                capture.undo().await;
                drop(reply.send(Err(error)));
                return;
            }
        };
        self.live = Some(live);
        capture.undo().await;
        drop(reply.send(Err(error)));
    }

    /// The same in the middle of a call, which fails with what is returned.
    async fn end_without_memory(&mut self, error: UffdError) -> SmartVmError {
        self.memory_lost(&error).await;
        SnapshotError::from(error).into()
    }

    /// Ends a guest that would stand still for ever at the next page that it touches.
    async fn memory_lost(&mut self, error: &UffdError) {
        let Some(live) = &self.live else { return };
        let cause = std::error::Error::source(error).map(ToString::to_string);
        tracing::error!(vm = %self.setup.spec.id(), %error, cause, "ending the VM");
        let termination = live.process.terminate(KILL_NOW).await;
        self.ended(EndCause::MemoryLost, termination.exit).await;
    }

    async fn stop(&mut self, patience: Duration) -> StopReport {
        let nothing = StopReport {
            ended_by: "nothing",
            exit: self.end.borrow().as_ref().and_then(|end| end.exit.clone()),
            took: Duration::ZERO,
        };
        let Some(mut live) = self.live.take() else {
            return nothing;
        };
        let state = *self.state.borrow();
        let Live { process, client, uffd, end_watch, .. } = &mut live;
        let stopping = stop(process, client, end_watch, state, patience);
        let report = match self.inbox.unless_interrupted(state, uffd, stopping).await {
            Outcome::Done(report) => report,
            Outcome::Interrupted | Outcome::MemoryLost(_) => {
                let termination = live.process.terminate(KILL_NOW).await;
                StopReport { ended_by: "SIGKILL", exit: termination.exit, took: Duration::ZERO }
            }
        };
        self.live = Some(live);
        self.ended(EndCause::Stopped, report.exit.clone()).await;
        report
    }

    async fn kill(&mut self) {
        if let Some(live) = &self.live {
            let termination = live.process.terminate(KILL_NOW).await;
            self.ended(EndCause::Killed, termination.exit).await;
        }
    }

    /// Notes that the process is gone; its socket goes with it. After a crash everything goes at
    /// once; otherwise the directory stays for the cleanup.
    async fn ended(&mut self, cause: EndCause, exit: Option<ProcessExit>) {
        let Some(live) = self.live.take() else { return };
        drop(live.process);
        drop(live.uffd);
        if let Some(recording) = live.recording {
            // A disk that takes longer is broken; the recording goes on while we do.
            let _ = tokio::time::timeout(LAST_WORDS, recording.finished()).await;
        }
        if let Some(serial) = live.serial {
            let _ = tokio::time::timeout(LAST_WORDS, serial.finished()).await;
        }
        let ran_out = cause == EndCause::Crashed && live.dir.ran_out_of_memory();
        let cause = if ran_out { EndCause::OutOfMemory } else { cause };
        // Whoever ended it then, there was nothing left to end.
        let panicked = live.end_watch.panicked().await && cause.is_outranked_by_a_panic();
        let cause = if panicked { EndCause::GuestPanicked } else { cause };
        self.left = Some(live.dir);
        let crashed =
            matches!(cause, EndCause::Crashed | EndCause::MemoryLost | EndCause::OutOfMemory);
        if crashed && let Err(error) = self.remove_files().await {
            tracing::warn!(vm = %self.setup.spec.id(), %error, "a crash left files behind");
        }
        self.publish(|running| {
            running.client = None;
            running.process_id = None;
            running.guest = None;
        });
        self.setup.audit.happened(self.setup.spec.id().as_str(), "ended", cause.name());
        let state = if crashed { VmState::Error } else { VmState::Stopped };
        self.state.send_replace(state);
        self.end.send_replace(Some(VmEnd { cause, exit }));
    }

    async fn cleanup(&mut self) -> Result<(), SmartVmError> {
        let id = self.setup.spec.id().clone();
        let removed = self.remove_files().await;
        if *self.state.borrow() != VmState::Error {
            self.state.send_replace(VmState::Stopped);
        }
        // What is left is tried again with the next cleanup, of the VM or of its manager.
        if removed.is_ok()
            && let Some(registry) = self.setup.registry.upgrade()
        {
            registry.forget(&id, &self.setup);
        }
        removed.map_err(|source| SmartVmError::Cleanup { id, source })
    }

    /// What could not be removed is kept, to be tried again. Not on a thread of the runtime: others' guests are
    /// served there.
    async fn remove_files(&mut self) -> std::io::Result<()> {
        if let Some(dir) = self.left.take()
            && let Err((dir, error)) = dir.remove_in_background().await
        {
            self.left = dir.map(|dir| *dir);
            return Err(error);
        }
        Ok(())
    }

    fn publish(&self, change: impl FnOnce(&mut Running)) {
        change(&mut self.running.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
