//! Noticing that another program has changed our rules, links, addresses or routes, or that the host's networks are others,
//! and mending it.
//!
//! Each process that uses a network watches it, by a thread that waits for the kernel to tell of a change. Who gets the
//! network's lock first mends; the others find it done.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::cut::Judge;
use super::handle::Kernel;
use super::host_changes::HostChanges;
use super::open::{ensure_wireguard, need_forwarding};
use super::open_error::OpenNetworkError;
use super::reload::ruleset;
use super::restore::restore;
use super::step::StepHook;
use crate::InterfaceName;
use crate::names;
use crate::netlink::{Changes, EventSocket, NetlinkError};
use crate::nft::{NotInForce, Verified, changes_rules_of};
use crate::policy::Neighbourhood;
use crate::state::{HostState, NetworkState};
use crate::wireguard::WireGuardWay;

/// When to try again what could not be mended: nobody may tell of another change.
const AGAIN: Duration = Duration::from_millis(200);
/// How long what is told of links, addresses and routes is gathered: one change of a program is many of the kernel's.
const GATHERED: Duration = Duration::from_millis(100);

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
    host_side: EventSocket,
    changes: HostChanges,
    /// Makes a WireGuard interface again; its keys are nowhere else.
    wireguard: Option<WireGuardWay>,
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
    /// The host's links, addresses or routes have changed.
    Host,
}

/// What is to be looked at, and from when on.
#[derive(Debug, Clone, Copy)]
struct Pending {
    cause: Cause,
    due: Instant,
}

impl Watch {
    /// Watches from now on, in the network namespace of the calling thread.
    pub(super) fn start(
        network: &InterfaceName,
        host: &HostState,
        state: &NetworkState,
        wireguard: Option<&WireGuardWay>,
    ) -> Result<Self, NetlinkError> {
        let failed = |source: io::Error| NetlinkError::new("watch", network.to_string(), source);
        let stop = eventfd(0, EventfdFlags::CLOEXEC).map_err(|error| failed(error.into()))?;
        let stop = Arc::new(stop);
        let (rules, host_side) =
            (EventSocket::open(Changes::Rules)?, EventSocket::open(Changes::Host)?);
        let mut kernel = Kernel::open()?;
        let bridge = kernel.links.find(network)?.map(|link| link.index);
        let tunnel = wireguard.and_then(WireGuardWay::record).map(|record| record.interface);
        let neighbourhood = Neighbourhood::new(kernel.links.networks()?);
        let watcher = Watcher {
            network: network.clone(),
            host: host.clone(),
            state: state.clone(),
            rules,
            host_side,
            changes: HostChanges::new(network, bridge, tunnel.as_ref()),
            wireguard: wireguard.cloned(),
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
        let mut pending: Option<Pending> = None;
        loop {
            match self.wait(pending) {
                Ok(Some(told)) => pending = told,
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, network = %self.network, "the rules are not watched any more");
                    return;
                }
            }
            let Some(due) = pending.filter(|it| it.due <= Instant::now()) else { continue };
            match self.mend(due.cause) {
                Ok(()) => {
                    self.changes.clear();
                    pending = None;
                }
                Err(error) => {
                    tracing::error!(%error, network = %self.network, "cannot put a network back; trying again");
                    pending = Some(Pending { due: Instant::now() + AGAIN, ..due });
                }
            }
        }
    }

    /// Waits for a change, or until what is pending is due, and says what then is pending; nothing at all when it is to
    /// stop.
    fn wait(&mut self, pending: Option<Pending>) -> io::Result<Option<Option<Pending>>> {
        let flags = PollFlags::IN;
        let mut fds = [
            PollFd::new(&*self.stop, flags),
            PollFd::new(&self.rules, flags),
            PollFd::new(&self.host_side, flags),
        ];
        let left = pending.map(|it| it.due.saturating_duration_since(Instant::now()));
        let left = left.map(Timespec::try_from).transpose().map_err(io::Error::other)?;
        rustix::io::retry_on_intr(|| poll(&mut fds, left.as_ref()))?;
        if !fds[0].revents().is_empty() {
            return Ok(None);
        }
        let told = self.host_side.read()?;
        told.messages.iter().for_each(|message| self.changes.note(message));
        if told.some_lost {
            self.changes.note_loss();
        }
        let told = self.rules.read()?;
        let table = names::table(&self.network);
        let is_ours = |change| {
            changes_rules_of(&table, change) || changes_rules_of(names::HOST_TABLE, change)
        };
        if told.some_lost || told.messages.iter().any(is_ours) {
            return Ok(Some(Some(Pending { cause: Cause::Others, due: Instant::now() })));
        }
        let pending = match pending {
            // What was on its way has come.
            Some(Pending { cause: Cause::Host, .. }) if !self.changes.any() => None,
            None if self.changes.any() => {
                Some(Pending { cause: Cause::Host, due: Instant::now() + GATHERED })
            }
            pending => pending,
        };
        Ok(Some(pending))
    }

    /// Puts a network back where it is not as it should be, and ends what began without its rules.
    fn mend(&mut self, cause: Cause) -> Result<(), OpenNetworkError> {
        let neighbourhood = Neighbourhood::new(self.kernel.links.networks()?);
        // We are one of its users, so that it stays what it is.
        let Some(locked) = self.state.lock_existing()? else { return Ok(()) };
        let Some(record) = locked.state().record()? else { return Ok(()) };
        let guests = locked.state().guests()?;
        let kernel = &mut self.kernel;
        let network = &self.network;
        if cause == Cause::Others || neighbourhood != self.neighbourhood {
            let rules = ruleset(&record, &guests, &mut kernel.links)?;
            let in_force = kernel.nftables.verify(&rules, Verified::Everything);
            let in_force =
                in_force.and_then(|()| self.host.verify_forwarding(&mut kernel.nftables));
            match in_force {
                Ok(()) => {}
                Err(NotInForce::Netlink(error)) => return Err(error.into()),
                Err(problem) => {
                    kernel.nftables.replace(&rules)?;
                    kernel.nftables.verify(&rules, Verified::Rules)?;
                    need_forwarding(&record, &self.host, kernel, &StepHook::default())?;
                    let judge = Judge::new(&record, kernel)?;
                    let mut cut = 0;
                    for guest in &guests {
                        cut += judge.cut(guest, kernel)?;
                    }
                    match cause {
                        Cause::Others => tracing::warn!(
                            %network, %problem, cut,
                            "another program has changed the rules of a network; they are in force again"
                        ),
                        Cause::Host => {
                            tracing::info!(%network, cut, "the rules follow the host's networks");
                        }
                    }
                }
            }
            self.neighbourhood = neighbourhood;
        }
        if self.changes.any() {
            for damage in restore(&record, &guests, kernel)? {
                tracing::warn!(%network, "another program has changed a network; what is ours of it is mended: {damage}");
            }
            // A link may be there by which answers come in.
            need_forwarding(&record, &self.host, kernel, &StepHook::default())?;
            if let (Some(wireguard), Some(_)) = (&self.wireguard, &record.wireguard)
                && !record.wireguard_egress().report()?.is_some_and(|it| it.ready)
            {
                // Whatever it lacks, guests have no other way; that somebody brings it is told as well.
                match ensure_wireguard(&record, wireguard, &StepHook::default()) {
                    Ok(()) => tracing::warn!(
                        %network, "the way out through WireGuard was gone, and is made again"
                    ),
                    Err(error) => tracing::error!(
                        %error, %network, "the way out through WireGuard is gone"
                    ),
                }
            }
        }
        Ok(())
    }
}
