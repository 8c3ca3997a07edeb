//! The socket.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with,
    sockopt,
};
use zeroize::Zeroize;

use super::attribute::Attributes;
use super::message::{HEADER, Message, Request};
use super::netlink_error::NetlinkError;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_ACK: u16 = 4;
const NLM_F_DUMP: u16 = 0x300;
const NLM_F_DUMP_INTR: u16 = 0x10;
/// The rest of the refused request is left out of the refusal.
const NLM_F_CAPPED: u16 = 0x100;
const NLM_F_ACK_TLVS: u16 = 0x200;
const NLMSGERR_ATTR_MSG: u16 = 1;

/// `NFNL_MSG_BATCH_BEGIN`, `NFNL_MSG_BATCH_END` and `NFNL_SUBSYS_NFTABLES`.
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NFTABLES: u16 = 10;

/// What the kernel sends at most at once.
const BUFFER: usize = 64 << 10;

/// How often a list is asked for again that changed while it was read.
const DUMP_TRIES: usize = 20;

/// Which part of the kernel is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Links, addresses, routes, rules.
    Route,
    /// nftables and connection tracking.
    Netfilter,
    /// Families that are found by name, WireGuard among them.
    Generic,
}

/// A socket to the kernel, in the network namespace of the thread that opened it.
///
/// Each call waits for the kernel's answer, which takes some microseconds.
#[derive(Debug)]
pub struct NetlinkSocket {
    fd: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl NetlinkSocket {
    /// Opens a socket.
    ///
    /// # Errors
    /// When the kernel refuses, as it does without the protocol.
    pub fn open(protocol: Protocol) -> Result<Self, NetlinkError> {
        let number = match protocol {
            // `NETLINK_ROUTE` is 0.
            Protocol::Route => None,
            Protocol::Netfilter => Some(netlink::NETFILTER),
            Protocol::Generic => Some(netlink::GENERIC),
        };
        let open = || -> io::Result<OwnedFd> {
            let fd =
                socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, number)?;
            bind(&fd, &SocketAddrNetlink::new(0, 0))?;
            // Refusals then say why in words, and do not repeat the request.
            set_option(&fd, libc::NETLINK_EXT_ACK)?;
            set_option(&fd, libc::NETLINK_CAP_ACK)?;
            Ok(fd)
        };
        let fd = open().map_err(|source| {
            NetlinkError::new("open a socket for", format!("{protocol:?}"), source)
        })?;
        Ok(Self { fd, sequence: 0, buffer: vec![0; BUFFER] })
    }

    /// Has a request carried out. `operation` and `object` say in an error what was being done.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn request(
        &mut self,
        operation: &'static str,
        object: &str,
        request: &Request,
    ) -> Result<(), NetlinkError> {
        self.exchange(operation, object, request, NLM_F_ACK).map(drop)
    }

    /// The kernel's number for the link with a name, in the namespace of this socket. No lock is taken for it.
    ///
    /// # Errors
    /// `ENODEV` when there is none.
    pub fn index_of(&self, operation: &'static str, link: &str) -> Result<u32, NetlinkError> {
        rustix::net::netdevice::name_to_index(&self.fd, link)
            .map_err(|errno| NetlinkError::new(operation, link, errno.into()))
    }

    /// Asks for one thing.
    ///
    /// # Errors
    /// What the kernel answers; that there is no such thing is an error as well.
    pub fn get(
        &mut self,
        operation: &'static str,
        object: &str,
        request: &Request,
    ) -> Result<Vec<Message>, NetlinkError> {
        self.exchange(operation, object, request, NLM_F_ACK)
    }

    /// Asks for all things of a kind. What changes meanwhile makes it ask again.
    ///
    /// # Errors
    /// What the kernel answers; `EINTR` when the list never stood still.
    pub fn dump(
        &mut self,
        operation: &'static str,
        object: &str,
        request: &Request,
    ) -> Result<Vec<Message>, NetlinkError> {
        for _ in 0..DUMP_TRIES {
            let messages = self.exchange(operation, object, request, NLM_F_DUMP)?;
            if messages.iter().all(|message| message.flags & NLM_F_DUMP_INTR == 0) {
                return Ok(messages);
            }
        }
        Err(NetlinkError::new(operation, object, Errno::INTR.into()))
    }

    /// Has requests of nftables carried out as one transaction: all of them or none.
    ///
    /// # Errors
    /// The first refusal; then nothing was changed.
    pub fn transaction(
        &mut self,
        operation: &'static str,
        object: &str,
        requests: &[Request],
    ) -> Result<(), NetlinkError> {
        let failed = |source: io::Error| NetlinkError::new(operation, object, source);
        let Some((last, others)) = requests.split_last() else { return Ok(()) };
        // `nfgenmsg`: family, version, and the subsystem in the network's order.
        let [high, low] = NFTABLES.to_be_bytes();
        let mut bytes = Vec::with_capacity(requests.len() * 256);
        let first = self.next_sequence();
        Request::new(BATCH_BEGIN, 0, &[0, 0, high, low]).write(0, first, &mut bytes);
        for request in others {
            let sequence = self.next_sequence();
            request.write(0, sequence, &mut bytes);
        }
        let sequence = self.next_sequence();
        last.write(NLM_F_ACK, sequence, &mut bytes);
        let end = self.next_sequence();
        Request::new(BATCH_END, 0, &[0, 0, high, low]).write(0, end, &mut bytes);
        self.send_all(&bytes).map_err(failed)?;
        loop {
            for message in self.receive().map_err(failed)? {
                if message.sequence < first || message.sequence > end {
                    continue;
                }
                if message.kind == NLMSG_ERROR {
                    refusal(&message).map_err(|(source, detail)| {
                        NetlinkError::new(operation, object, source).with_detail(detail)
                    })?;
                    if message.sequence == sequence {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn exchange(
        &mut self,
        operation: &'static str,
        object: &str,
        request: &Request,
        flags: u16,
    ) -> Result<Vec<Message>, NetlinkError> {
        let answer = self.exchange_open(operation, object, request, flags);
        if request.secret {
            self.buffer.as_mut_slice().zeroize();
        }
        answer
    }

    fn exchange_open(
        &mut self,
        operation: &'static str,
        object: &str,
        request: &Request,
        flags: u16,
    ) -> Result<Vec<Message>, NetlinkError> {
        let failed = |source: io::Error| NetlinkError::new(operation, object, source);
        let sequence = self.next_sequence();
        let mut bytes = Vec::with_capacity(request.len());
        request.write(flags, sequence, &mut bytes);
        let sent = self.send_all(&bytes);
        if request.secret {
            bytes.zeroize();
        }
        sent.map_err(failed)?;
        let mut answers = Vec::new();
        loop {
            for mut message in self.receive().map_err(failed)? {
                message.secret = request.secret;
                // An answer to an earlier request that was given up.
                if message.sequence != sequence {
                    continue;
                }
                match message.kind {
                    NLMSG_ERROR | NLMSG_DONE => {
                        refusal(&message).map_err(|(source, detail)| {
                            NetlinkError::new(operation, object, source).with_detail(detail)
                        })?;
                        return Ok(answers);
                    }
                    _ => answers.push(message),
                }
            }
        }
    }

    fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    fn send_all(&self, bytes: &[u8]) -> io::Result<()> {
        // A message must fit what the socket may have under way.
        if bytes.len() > 64 << 10 {
            let size = bytes.len() * 2 + (64 << 10);
            if sockopt::set_socket_send_buffer_size_force(&self.fd, size).is_err() {
                sockopt::set_socket_send_buffer_size(&self.fd, size)?;
            }
        }
        rustix::io::retry_on_intr(|| send(&self.fd, bytes, SendFlags::empty()))?;
        Ok(())
    }

    fn receive(&mut self) -> io::Result<Vec<Message>> {
        let buffer = self.buffer.as_mut_slice();
        let (length, whole) =
            rustix::io::retry_on_intr(|| recv(&self.fd, &mut *buffer, RecvFlags::TRUNC))?;
        if whole > length {
            return Err(Errno::MSGSIZE.into());
        }
        Ok(Message::divide(&self.buffer[..length]))
    }
}

/// What an acknowledgement says: nothing, or what went wrong.
fn refusal(message: &Message) -> Result<(), (io::Error, Option<String>)> {
    let code = message.body.first_chunk::<4>().map_or(0, |code| i32::from_ne_bytes(*code));
    if code == 0 {
        return Ok(());
    }
    // The number, the header of the request, and what the kernel has to say of it.
    let detail = (message.kind == NLMSG_ERROR && message.flags & NLM_F_ACK_TLVS != 0).then(|| {
        let mut rest = message.body.get(4..).unwrap_or_default();
        let request =
            rest.first_chunk::<4>().map_or(0, |length| u32::from_ne_bytes(*length)) as usize;
        let skip = if message.flags & NLM_F_CAPPED == 0 { request } else { HEADER };
        rest = rest.get(skip.next_multiple_of(4)..).unwrap_or_default();
        Attributes::new(rest).text(NLMSGERR_ATTR_MSG).map(str::to_owned)
    });
    Err((io::Error::from_raw_os_error(-code), detail.flatten()))
}

#[expect(unsafe_code, reason = "rustix knows no options of netlink")]
fn set_option(fd: &OwnedFd, option: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    let size = libc::socklen_t::try_from(size_of::<libc::c_int>()).expect("an int is small");
    // SAFETY: the descriptor is open, and the kernel reads `size` bytes of `on`, which lives until
    // the call returns.
    let done = unsafe {
        libc::setsockopt(fd.as_raw_fd(), libc::SOL_NETLINK, option, (&raw const on).cast(), size)
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
