//! Programs that outlive their session, and who goes on with one.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use smartvm_protocol::RefusalCode;
use smartvm_protocol::host::StartAttach;

use crate::serve::connection::Connection;

/// How many are kept at once, running or ended. Beyond that the one that ended first is forgotten.
const MOST: usize = 64;

/// All kept programs by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    mailboxes: Mutex<BTreeMap<u64, Arc<Mailbox>>>,
}

/// Where the thread of a kept program is told of somebody who wants to go on with it.
#[derive(Debug)]
pub(crate) struct Mailbox {
    event: OwnedFd,
    letter: Mutex<Letter>,
}

#[derive(Debug, Default)]
struct Letter {
    host: Option<(Connection, StartAttach)>,
    is_attached: bool,
    has_ended: bool,
    is_forgotten: bool,
}

impl Kept {
    /// Keeps a program; false when as many run as are kept.
    pub(crate) fn insert(&self, exec: u64, mailbox: &Arc<Mailbox>) -> bool {
        let mut mailboxes = self.mailboxes();
        if mailboxes.len() >= MOST {
            let ended = mailboxes.iter().find(|(_, mailbox)| {
                let letter = mailbox.letter();
                letter.has_ended && !letter.is_attached
            });
            let Some(ended) = ended.map(|(exec, _)| *exec) else { return false };
            if let Some(mailbox) = mailboxes.remove(&ended) {
                mailbox.letter().is_forgotten = true;
                mailbox.wake();
            }
        }
        mailboxes.insert(exec, Arc::clone(mailbox));
        true
    }

    pub(crate) fn remove(&self, exec: u64) {
        self.mailboxes().remove(&exec);
    }

    /// Hands a connection over to the program's thread; gives it back when that cannot be.
    pub(crate) fn attach(
        &self,
        connection: Connection,
        start: StartAttach,
    ) -> Result<(), Box<(Connection, RefusalCode)>> {
        let Some(mailbox) = self.mailboxes().get(&start.exec).cloned() else {
            return Err(Box::new((connection, RefusalCode::NoExec)));
        };
        let mut letter = mailbox.letter();
        if letter.is_forgotten {
            return Err(Box::new((connection, RefusalCode::NoExec)));
        }
        if letter.is_attached {
            return Err(Box::new((connection, RefusalCode::Attached)));
        }
        letter.is_attached = true;
        letter.host = Some((connection, start));
        drop(letter);
        mailbox.wake();
        Ok(())
    }

    fn mailboxes(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Mailbox>>> {
        self.mailboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mailbox {
    /// Of a program that somebody is attached to: who started it.
    pub(crate) fn new() -> Result<Arc<Self>, Errno> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let letter = Mutex::new(Letter { is_attached: true, ..Letter::default() });
        Ok(Arc::new(Self { event, letter }))
    }

    /// Who wants to go on with the program, if somebody does.
    pub(crate) fn take(&self) -> Option<(Connection, StartAttach)> {
        let _ = rustix::io::read(&self.event, &mut [0; 8]);
        self.letter().host.take()
    }

    /// Nobody is attached any more.
    pub(crate) fn detach(&self) {
        self.letter().is_attached = false;
    }

    pub(crate) fn note_end(&self) {
        self.letter().has_ended = true;
    }

    pub(crate) fn is_forgotten(&self) -> bool {
        self.letter().is_forgotten
    }

    fn wake(&self) {
        // A wake that is there already is as good.
        let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
    }

    fn letter(&self) -> MutexGuard<'_, Letter> {
        self.letter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Mailbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}
