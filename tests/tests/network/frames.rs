//! What a guest sends by hand.

use std::net::Ipv4Addr;

/// An Ethernet frame.
pub(crate) fn frame(to: [u8; 6], from: [u8; 6], kind: u16, content: &[u8]) -> Vec<u8> {
    [&to[..], &from, &kind.to_be_bytes(), content].concat()
}

/// A UDP packet.
pub(crate) fn udp(from: Ipv4Addr, to: Ipv4Addr, ports: (u16, u16)) -> Vec<u8> {
    let mut header = vec![0x45, 0, 0, 32, 0, 1, 0, 0, 64, 17, 0, 0];
    header.extend(from.octets());
    header.extend(to.octets());
    let sum = header.chunks(2).map(|it| u32::from(u16::from_be_bytes([it[0], it[1]]))).sum::<u32>();
    let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header.extend(ports.0.to_be_bytes());
    header.extend(ports.1.to_be_bytes());
    // A length, and no checksum.
    header.extend([0, 12, 0, 0]);
    header.extend(b"spam");
    header
}
