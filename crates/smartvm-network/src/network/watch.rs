//! Noticing that another program has changed our rules, or that the host's networks are others, and mending it.
//!
//! Each process that uses a network watches it, by a thread that waits for the kernel to tell of a change. Who gets the
//! network's lock first mends; the others find it done.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::change::ChangePolicyError;
use super::cut::Judge;
use super::handle::Kernel;
use super::open::need_forwarding;
use super::reload::ruleset;
use super::step::StepHook;
use crate::InterfaceName;
use crate::names;
use crate::netlink::{Changes, EventSocket, NetlinkError};
use crate::nft::{NotInForce, Verified, changes_rules_of};
use crate::policy::Neighbourhood;
use crate::state::{HostState, NetworkState};

/// When to try again what could not be mended: nobody may tell of another change.
const AGAIN: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// A network that is watched until this is dropped, which waits for what is being mended.
#[derive(Debug)]
pub(super) struct Watch {
    stop: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread has.
#[derive(Debug)]
struct Watcher {
    network: InterfaceName,
    host: HostState,
    state: NetworkState,
    rules: EventSocket,
    addresses: EventSocket,
    stop: Arc<OwnedFd>,
    kernel: Kernel,
    /// Of the rules that are in force.
    neighbourhood: Neighbourhood,
}

/// Why the rules may not be as they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// Another program has changed them.
    Others,
    /// The host's networks have changed.
    Addresses,
}

impl Watch {
    /// Watches from now on, in the network namespace of the calling thread.
    pub(super) fn start(
        network: &InterfaceName,
        host: &HostState,
        state: &NetworkState,
    ) -> Result<Self, NetlinkError> {
        let failed = |source: io::Error| NetlinkError::new("watch", network.to_string(), source);
        let stop = eventfd(0, EventfdFlags::CLOEXEC).map_err(|error| failed(error.into()))?;
        let stop = Arc::new(stop);
        let (rules, addresses) =
            (EventSocket::open(Changes::Rules)?, EventSocket::open(Changes::Addresses)?);
        let mut kernel = Kernel::open()?;
        let neighbourhood = Neighbourhood::new(kernel.links.networks()?);
        let watcher = Watcher {
            network: network.clone(),
            host: host.clone(),
            state: state.clone(),
            rules,
            addresses,
            stop: Arc::clone(&stop),
            kernel,
            neighbourhood,
        };
        let thread = thread::Builder::new().name(format!("watch-{network}"));
        let thread = thread.spawn(move || watcher.run()).map_err(failed)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // It cannot fail: nothing else is ever written.
        let _ = rustix::io::write(&*self.stop, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Watcher {
    fn run(mut self) {
        let mut pending = None;
        loop {
            match self.wait(pending.is_some()) {
                Ok(Some(told)) => pending = told.or(pending),
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, network = %self.network, "the rules are not watched any more");
                    return;
                }
            }
            let Some(cause) = pending else { continue };
            match self.mend(cause) {
                Ok(()) => pending = None,
                Err(error) => {
                    tracing::error!(%error, network = %self.network, "cannot put the rules back; trying again");
                }
            }
        }
    }

    /// Waits for a change; none when it is to stop.
    fn wait(&mut self, again: bool) -> io::Result<Option<Option<Cause>>> {
        let flags = PollFlags::IN;
        let mut fds = [
            PollFd::new(&*self.stop, flags),
            PollFd::new(&self.rules, flags),
            PollFd::new(&self.addresses, flags),
        ];
        rustix::io::retry_on_intr(|| poll(&mut fds, again.then_some(&AGAIN)))?;
        if !fds[0].revents().is_empty() {
            return Ok(None);
        }
        let told = self.rules.read()?;
        let table = names::table(&self.network);
        let is_ours = |change| {
            changes_rules_of(&table, change) || changes_rules_of(names::HOST_TABLE, change)
        };
        if told.some_lost || told.messages.iter().any(is_ours) {
            // Whatever there was of addresses comes with it.
            self.addresses.read()?;
            return Ok(Some(Some(Cause::Others)));
        }
        let told = self.addresses.read()?;
        let some = told.some_lost || !told.messages.is_empty();
        Ok(Some(some.then_some(Cause::Addresses)))
    }

    /// Puts the rules back when they are not as they should be, and ends what began without them.
    fn mend(&mut self, cause: Cause) -> Result<(), ChangePolicyError> {
        let neighbourhood = Neighbourhood::new(self.kernel.links.networks()?);
        if cause == Cause::Addresses && neighbourhood == self.neighbourhood {
            return Ok(());
        }
        // We are one of its users, so that it stays what it is.
        let locked = self.state.lock()?;
        let Some(record) = locked.state().record()? else { return Ok(()) };
        let guests = locked.state().guests()?;
        let kernel = &mut self.kernel;
        let rules = ruleset(&record, &guests, &mut kernel.links)?;
        let in_force = kernel.nftables.verify(&rules, Verified::Everything);
        let in_force = in_force.and_then(|()| self.host.verify_forwarding(&mut kernel.nftables));
        let problem = match in_force {
            Ok(()) => {
                self.neighbourhood = neighbourhood;
                return Ok(());
            }
            Err(NotInForce::Netlink(error)) => return Err(error.into()),
            Err(problem) => problem,
        };
        kernel.nftables.replace(&rules)?;
        kernel.nftables.verify(&rules, Verified::Rules)?;
        need_forwarding(&record, &self.host, kernel, &StepHook::default())?;
        let judge = Judge::new(&record, kernel)?;
        let mut cut = 0;
        for guest in &guests {
            cut += judge.cut(guest, kernel)?;
        }
        self.neighbourhood = neighbourhood;
        let network = &self.network;
        match cause {
            Cause::Others => tracing::warn!(
                %network, %problem, cut,
                "another program has changed the rules of a network; they are in force again"
            ),
            Cause::Addresses => {
                tracing::info!(%network, cut, "the rules follow the host's networks");
            }
        }
        Ok(())
    }
}
