//! Packets as they are: sent whole, and seen where they are delivered.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto, recv, sendto,
    socket_with,
};
use smartvm_testkit::NetNamespace;

/// `IPPROTO_RAW`.
const WHOLE: u32 = 255;

/// Sees what is delivered in a namespace: after all rules, whether a program listens or not.
pub(super) struct Observer {
    sockets: Vec<OwnedFd>,
}

/// A packet that was delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Delivered {
    pub(super) mark: u32,
    pub(super) source: Ipv4Addr,
}

impl Observer {
    pub(super) fn new(namespace: &NetNamespace) -> Self {
        let open = |protocol| namespace.run(move || raw(protocol));
        Self { sockets: [ipproto::TCP, ipproto::UDP, ipproto::ICMP].map(open).into() }
    }

    /// What was delivered since the last call.
    pub(super) fn delivered(&self) -> Vec<Delivered> {
        let mut all = Vec::new();
        for socket in &self.sockets {
            let mut bytes = [0; 256];
            loop {
                match recv(socket, &mut bytes[..], RecvFlags::DONTWAIT) {
                    Ok((length, _)) => all.extend(read(&bytes[..length])),
                    Err(Errno::AGAIN) => break,
                    Err(error) => panic!("a raw socket: {error}"),
                }
            }
        }
        all
    }
}

/// Sends IPv4 packets from a namespace as they are.
pub(super) struct Sender {
    socket: OwnedFd,
}

impl Sender {
    pub(super) fn new(namespace: &NetNamespace) -> Self {
        let protocol = Protocol::from_raw(WHOLE.try_into().unwrap());
        Self { socket: namespace.run(move || raw(protocol)) }
    }

    pub(super) fn send(&self, packet: &[u8], to: Ipv4Addr) {
        sendto(&self.socket, packet, SendFlags::empty(), &SocketAddrV4::new(to, 0)).unwrap();
    }
}

fn raw(protocol: Protocol) -> OwnedFd {
    socket_with(AddressFamily::INET, SocketType::RAW, SocketFlags::CLOEXEC, Some(protocol)).unwrap()
}

/// Whose mark an IPv4 packet has, if it is one that somebody began with: no answer, no error.
pub(super) fn read(packet: &[u8]) -> Option<Delivered> {
    let source: [u8; 4] = packet.get(12..16)?.try_into().unwrap();
    let transport = packet.get(usize::from(packet[0] & 0xf) * 4..)?;
    let at = match packet[9] {
        1 if transport.first() == Some(&8) => 8,
        // SYN alone.
        6 if transport.get(13) == Some(&2) => 4,
        17 => 8,
        _ => return None,
    };
    let mark = u32::from_be_bytes(transport.get(at..at + 4)?.try_into().unwrap());
    Some(Delivered { mark, source: source.into() })
}
