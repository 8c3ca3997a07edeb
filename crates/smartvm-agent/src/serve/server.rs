//! The agent's one loop: connections come, children end.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use smartvm_protocol::shared::Role;
use smartvm_protocol::{AgentFrame, RefusalCode};

use super::agent::{Agent, Place};
use super::connection::Connection;
use super::listener::Listener;
use super::refused::refused;
use super::signals::Signals;
use super::{memory, session, shutdown};
use crate::failure::{self, Failure};

/// What a session's thread needs: its largest buffers are on the heap.
const STACK: usize = 128 << 10;

/// Serves the host until the guest ends or, when the guest's init says so, until this service does.
///
/// Gives an error when nothing can be served at all.
pub(crate) fn run(role: Role) -> Result<(), Failure> {
    memory::protect();
    if role == Role::Beside {
        // Who leads a session already has what this is for: no terminal that hangs up.
        let _ = rustix::process::setsid();
    }
    let signals = Signals::heed().map_err(|error| Failure::new("heed signals", error))?;
    let agent = Arc::new(Agent::new(role));
    let Some(listener) = Listener::open()? else {
        let reason = "the guest has no virtual socket device";
        return Err(Failure::new("listen for the host", reason));
    };
    rustix::fs::fcntl_setfl(&listener, OFlags::RDWR | OFlags::NONBLOCK)
        .map_err(|error| Failure::new("listen for the host", error))?;
    // Whoever ended before signals were heeded.
    agent.children().reap();
    loop {
        let mut polled = [
            PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN),
        ];
        match poll(&mut polled, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(Failure::new("wait for the host", error)),
        }
        let heard = signals.take();
        if heard.child {
            agent.children().reap();
        }
        match role {
            Role::Init if heard.end => shutdown::begin(&agent),
            Role::Beside | Role::Service if heard.end => {
                // Our programs end with us.
                if let Some(groups) = agent.groups() {
                    groups.kill_all();
                }
                return Ok(());
            }
            _ => {}
        }
        match listener.accept() {
            Ok(Some(socket)) => begin(&agent, socket),
            Ok(None) => {}
            Err(error) => failure::report(&format!("cannot take a connection: {error}")),
        }
    }
}

/// Gives a connection a thread of its own.
fn begin(agent: &Arc<Agent>, socket: OwnedFd) {
    let mut connection = Connection::new(socket);
    let Some(place) = Place::of(agent) else {
        let refusal = refused(RefusalCode::TooManySessions, "open one more session");
        connection.queue(&AgentFrame::Refused(refusal));
        // It is small, and the connection new: either it goes now, or whoever it was is gone.
        let _ = connection.flush();
        return;
    };
    let run = move || session::run(place.agent(), connection);
    let started = thread::Builder::new().name("session".to_owned()).stack_size(STACK).spawn(run);
    if let Err(error) = started {
        failure::report(&format!("cannot begin a session: {error}"));
    }
}
