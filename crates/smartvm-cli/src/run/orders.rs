//! What was asked of the VM and is under way.
//!
//! Orders are tasks, so that the next key or signal is heard while one is carried out.

use std::time::Duration;

use smartvm::{MicroVm, SmartVmError, StopReport, VmState};
use tokio::task::JoinSet;

/// An order that was carried out.
#[derive(Debug)]
pub(super) enum Done {
    /// The guest stands still.
    Paused,
    /// The guest goes on.
    Resumed,
    /// The guest was stopped.
    Stopped(StopReport),
    /// The guest was ended at once.
    Killed,
}

/// The orders for one VM.
#[derive(Debug)]
pub(super) struct Orders {
    vm: MicroVm,
    under_way: JoinSet<Result<Done, SmartVmError>>,
}

impl Orders {
    /// No orders yet.
    pub(super) fn new(vm: MicroVm) -> Self {
        Self { vm, under_way: JoinSet::new() }
    }

    /// Pauses a running guest and resumes a paused one. In another state there is nothing to do,
    /// and the state is returned.
    pub(super) fn pause_or_resume(&mut self) -> Result<(), VmState> {
        let vm = self.vm.clone();
        match vm.state() {
            VmState::Paused => {
                self.under_way.spawn(async move { vm.resume().await.map(|()| Done::Resumed) });
            }
            VmState::Running => {
                self.under_way.spawn(async move { vm.pause().await.map(|()| Done::Paused) });
            }
            state => return Err(state),
        }
        Ok(())
    }

    /// Stops the guest; `patience` is how long it may take to shut down by itself.
    pub(super) fn stop(&mut self, patience: Duration) {
        let vm = self.vm.clone();
        self.under_way.spawn(async move { vm.stop_within(patience).await.map(Done::Stopped) });
    }

    /// Ends the guest at once, also in the middle of a stop.
    pub(super) fn kill(&mut self) {
        let vm = self.vm.clone();
        self.under_way.spawn(async move { vm.kill().await.map(|()| Done::Killed) });
    }

    /// The next order that was carried out or failed; none when none is under way. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Result<Done, SmartVmError>> {
        loop {
            match self.under_way.join_next().await? {
                Ok(done) => return Some(done),
                Err(error) => tracing::error!(%error, "a task of smartvm failed"),
            }
        }
    }
}
