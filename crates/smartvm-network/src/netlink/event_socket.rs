//! Being told of changes that others make.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

use super::message::Message;
use super::netlink_error::NetlinkError;

/// What the kernel sends at most at once.
const BUFFER: usize = 64 << 10;

/// Which changes are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changes {
    /// Tables, chains, sets and rules of nftables.
    Rules,
    /// Links, and their IPv4 addresses, routes and routing rules.
    Host,
}

/// A socket by which the kernel tells of changes in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct EventSocket {
    fd: OwnedFd,
    buffer: Vec<u8>,
}

/// What was told since the last time.
#[derive(Debug, Default)]
pub struct Told {
    /// The changes.
    pub messages: Vec<Message>,
    /// There were more than the kernel keeps for us.
    pub some_lost: bool,
}

impl EventSocket {
    /// Opens it. What changes from now on is told.
    ///
    /// # Errors
    /// When the kernel refuses a socket.
    pub fn open(changes: Changes) -> Result<Self, NetlinkError> {
        // Bits of `NFNLGRP_NFTABLES` (7), and of `RTNLGRP_LINK` (1), `RTNLGRP_IPV4_IFADDR` (5), `_ROUTE` (7) and
        // `_RULE` (8). The number of the protocol of routes, `NETLINK_ROUTE`, is 0.
        let (number, groups) = match changes {
            Changes::Rules => (Some(netlink::NETFILTER), 1 << 6),
            Changes::Host => (None, 1 | 1 << 4 | 1 << 6 | 1 << 7),
        };
        let open = || -> io::Result<OwnedFd> {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, number)?;
            bind(&fd, &SocketAddrNetlink::new(0, groups))?;
            Ok(fd)
        };
        let fd = open().map_err(|source| {
            NetlinkError::new("ask to be told of", format!("{changes:?}"), source)
        })?;
        Ok(Self { fd, buffer: vec![0; BUFFER] })
    }

    /// All that was told since the last call. Does not wait: the socket is readable when there is something.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn read(&mut self) -> io::Result<Told> {
        let mut told = Told::default();
        loop {
            let buffer = self.buffer.as_mut_slice();
            match recv(&self.fd, &mut *buffer, RecvFlags::TRUNC) {
                Ok((length, whole)) => {
                    told.some_lost |= whole > length;
                    told.messages.extend(Message::divide(&self.buffer[..length]));
                }
                Err(Errno::AGAIN) => return Ok(told),
                Err(Errno::INTR) => {}
                Err(Errno::NOBUFS) => told.some_lost = true,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for EventSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
