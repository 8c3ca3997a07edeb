//! Removing interfaces, as many at once as there are.
//!
//! The kernel takes some 20 ms for a link, and little longer for many of one group. So links that are to go
//! are put into a group of their own, with the network's lock held for that moment, and the group is removed
//! without the lock. A guest stays written down until its link is gone: nobody makes another of that name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::detach::{DetachError, withdraw_rest};
use super::handle::Kernel;
use crate::state::{GuestRecord, HostState, NetworkState};
use crate::{InterfaceName, names};

/// How many are removed in one go: others wait for the kernel's lock of all links, and the network's, while
/// that lasts.
const AT_ONCE: usize = 128;

/// Removes guests that are still what they were when they were found.
pub(super) fn remove_many(
    host: &HostState,
    state: &NetworkState,
    kernel: &mut Kernel,
    guests: &[GuestRecord],
) -> Result<(), DetachError> {
    let dying = names::dying_group(state.network());
    for guests in guests.chunks(AT_ONCE) {
        {
            let locked = state.lock()?;
            for guest in guests {
                if locked.state().guest(&guest.tap)?.as_ref() == Some(guest) {
                    kernel.links.move_to_group(&guest.tap, dying)?;
                }
            }
        }
        kernel.links.remove_group(dying)?;
        let locked = state.lock()?;
        let mut gone = Vec::new();
        for guest in guests {
            if locked.state().guest(&guest.tap)?.as_ref() == Some(guest) {
                gone.push(guest);
            }
        }
        withdraw_rest(host, &locked, kernel, &gone)?;
    }
    Ok(())
}

/// The interfaces of one network that this process is to remove.
#[derive(Debug, Default)]
struct Queue {
    state: Mutex<Waiting>,
    done: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Whether somebody removes those that came before.
    busy: bool,
    /// Those that came since.
    guests: Vec<GuestRecord>,
    /// How often somebody began, and ended.
    begun: u64,
    ended: u64,
    /// The rounds that failed, until those who wait for them have seen it.
    failed: BTreeMap<u64, usize>,
}

/// Removes a guest together with all others of the network that are to go while others are being removed.
/// Blocks.
pub(super) fn remove_together(
    state_dir: &Path,
    host: &HostState,
    state: &NetworkState,
    guest: GuestRecord,
) -> Result<(), DetachError> {
    let queue = queue(state_dir, state.network());
    let mut waiting = lock(&queue);
    waiting.guests.push(guest.clone());
    // The round that will have it.
    let ours = waiting.begun + 1;
    while waiting.busy && waiting.ended < ours {
        waiting = queue.done.wait(waiting).unwrap_or_else(PoisonError::into_inner);
    }
    if waiting.ended < ours {
        // Nobody is at it: we do it, for all who wait.
        let guests = std::mem::take(&mut waiting.guests);
        waiting.busy = true;
        waiting.begun = ours;
        drop(waiting);
        let mut round = Round { queue: &queue, number: ours, others_failed: guests.len() - 1 };
        remove_many(host, state, &mut Kernel::open()?, &guests)?;
        round.others_failed = 0;
        return Ok(());
    }
    let failed = match waiting.failed.get_mut(&ours) {
        Some(left) => {
            *left -= 1;
            if *left == 0 {
                waiting.failed.remove(&ours);
            }
            true
        }
        None => false,
    };
    drop(waiting);
    if failed {
        // One of them failed, not necessarily this one: by itself it has its own outcome.
        return remove_many(host, state, &mut Kernel::open()?, &[guest]);
    }
    Ok(())
}

/// A round that goes on. However it ends, those who wait for it go on.
struct Round<'a> {
    queue: &'a Queue,
    number: u64,
    /// How many others have to see to theirs themselves.
    others_failed: usize,
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        let mut waiting = lock(self.queue);
        waiting.busy = false;
        waiting.ended = self.number;
        if self.others_failed > 0 {
            waiting.failed.insert(self.number, self.others_failed);
        }
        drop(waiting);
        self.queue.done.notify_all();
    }
}

fn lock(queue: &Queue) -> MutexGuard<'_, Waiting> {
    queue.state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn queue(state_dir: &Path, network: &InterfaceName) -> Arc<Queue> {
    static QUEUES: Mutex<BTreeMap<(PathBuf, InterfaceName), Arc<Queue>>> =
        Mutex::new(BTreeMap::new());
    let mut queues = QUEUES.lock().unwrap_or_else(PoisonError::into_inner);
    // Those that nobody uses are forgotten.
    queues.retain(|_, queue| Arc::strong_count(queue) > 1);
    Arc::clone(queues.entry((state_dir.to_owned(), network.clone())).or_default())
}
