//! A stream to something in the guest, without a network between.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType,
    connect, recv, send, shutdown, socket_with, sockopt,
};
use smartvm_protocol::agent::ForwardStarted;
use smartvm_protocol::host::{StartForward, Target};
use smartvm_protocol::{AgentFrame, Refusal, RefusalCode};

use super::connection::Connection;
use super::refused::{failed, refused, shown};

/// How long a connection in the guest may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How much may wait in each direction.
const BUFFER: usize = 64 << 10;

/// Connects, and carries bytes both ways until both ways have ended.
pub(crate) fn run(mut connection: Connection, request: &StartForward) {
    let target = match open(&request.target) {
        Ok(target) => target,
        Err(refusal) => {
            let _ = connection.send(&AgentFrame::Refused(refusal));
            return;
        }
    };
    if connection.send(&AgentFrame::ForwardStarted(ForwardStarted {})).is_err() {
        return;
    }
    let (host, early) = connection.into_raw();
    let mut to_target = Way { bytes: early, ..Way::default() };
    let mut to_host = Way::default();
    while !(to_target.has_ended && to_host.has_ended) {
        let moved = to_target
            .advance(&host, &target)
            .and_then(|()| to_host.advance(&target, &host))
            .and_then(|()| wait(&host, &to_target, &target, &to_host));
        // A reset of one side is told to the other by the end of the connection.
        if moved.is_err() {
            return;
        }
    }
}

fn open(target: &Target) -> Result<OwnedFd, Refusal> {
    let (name, connected) = match target {
        Target::Tcp { address, port } => {
            let socket = std::net::SocketAddr::new(*address, *port);
            let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
            (socket.to_string(), connect_to(family, |fd| connect(fd, &socket)))
        }
        Target::Unix { path } => {
            let address = SocketAddrUnix::new(path.as_slice()).map_err(|error| {
                failed(RefusalCode::Protocol, format_args!("connect to {}", shown(path)), error)
            })?;
            (shown(path), connect_to(AddressFamily::UNIX, |fd| connect(fd, &address)))
        }
    };
    connected.map_err(|error| match error {
        Errno::NOENT => failed(RefusalCode::NoFile, format_args!("connect to {name}"), error),
        Errno::TIMEDOUT => {
            refused(RefusalCode::Failed, format_args!("connect to {name}: nobody answers"))
        }
        error => failed(RefusalCode::Failed, format_args!("connect to {name}"), error),
    })
}

fn connect_to(
    family: AddressFamily,
    connect: impl FnOnce(&OwnedFd) -> Result<(), Errno>,
) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    match connect(&socket) {
        Ok(()) => return Ok(socket),
        Err(Errno::INPROGRESS) => {}
        Err(error) => return Err(error),
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Errno::TIMEDOUT);
        }
        let timeout = Timespec::try_from(left).ok();
        match poll(&mut [PollFd::new(&socket, PollFlags::OUT)], timeout.as_ref()) {
            Ok(1..) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    sockopt::socket_error(&socket)??;
    if family != AddressFamily::UNIX {
        sockopt::set_tcp_nodelay(&socket, true)?;
    }
    Ok(socket)
}

/// One direction of a forwarded stream.
#[derive(Debug, Default)]
struct Way {
    /// What was read and is to be written, from `written` on.
    bytes: Vec<u8>,
    written: usize,
    /// The source says no more.
    is_closing: bool,
    /// And the sink was told so.
    has_ended: bool,
}

impl Way {
    fn has_bytes(&self) -> bool {
        self.written < self.bytes.len()
    }

    /// Moves what can be moved now, and hands on the end of it.
    fn advance(&mut self, source: &OwnedFd, sink: &OwnedFd) -> Result<(), Errno> {
        loop {
            while self.has_bytes() {
                match send(sink, &self.bytes[self.written..], SendFlags::NOSIGNAL) {
                    Ok(length) => self.written += length,
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
            (self.bytes, self.written) = (Vec::new(), 0);
            if self.is_closing {
                if !self.has_ended {
                    self.has_ended = true;
                    // Whoever has gone needs not be told.
                    let _ = shutdown(sink, Shutdown::Write);
                }
                return Ok(());
            }
            self.bytes.resize(BUFFER, 0);
            let outcome = recv(source, self.bytes.as_mut_slice(), RecvFlags::empty());
            self.bytes.truncate(outcome.as_ref().map_or(0, |(length, _)| *length));
            match outcome {
                Ok((0, _)) => self.is_closing = true,
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Waits until a way can go on.
fn wait(host: &OwnedFd, to_target: &Way, target: &OwnedFd, to_host: &Way) -> Result<(), Errno> {
    let interest = |from: &Way, to: &Way| {
        let mut flags = PollFlags::empty();
        if !from.has_bytes() && !from.is_closing {
            flags |= PollFlags::IN;
        }
        if to.has_bytes() {
            flags |= PollFlags::OUT;
        }
        flags
    };
    let sides = [(host, interest(to_target, to_host)), (target, interest(to_host, to_target))];
    // A side that nothing is wanted of would wake us again and again once it has hung up.
    let mut polled: Vec<_> = sides
        .into_iter()
        .filter(|(_, flags)| !flags.is_empty())
        .map(|(side, flags)| PollFd::new(side, flags))
        .collect();
    if polled.is_empty() {
        return Ok(());
    }
    match poll(&mut polled, None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error),
    }
}
