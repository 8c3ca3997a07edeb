//! Checksums of the Internet: a packet without the right one belongs to no connection.

use std::net::Ipv4Addr;

/// Puts the checksum into an IPv4 header.
pub(crate) fn finish_ipv4(header: &mut [u8]) {
    let sum = checksum(&[header]);
    header[10..12].copy_from_slice(&sum);
}

/// Puts the checksum into what follows the header.
pub(crate) fn finish_transport(
    source: Ipv4Addr,
    destination: Ipv4Addr,
    protocol: u8,
    content: &mut [u8],
) {
    let length = u16::try_from(content.len()).expect("it is short").to_be_bytes();
    let pseudo =
        [&source.octets()[..], &destination.octets(), &[0, protocol, length[0], length[1]]]
            .concat();
    match protocol {
        1 => {
            let sum = checksum(&[content]);
            content[2..4].copy_from_slice(&sum);
        }
        6 => {
            let sum = checksum(&[&pseudo, content]);
            content[16..18].copy_from_slice(&sum);
        }
        17 => {
            let sum = checksum(&[&pseudo, content]);
            content[6..8].copy_from_slice(&sum);
        }
        _ => {}
    }
}

fn checksum(parts: &[&[u8]]) -> [u8; 2] {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let sum: u32 = words
        .map(|word| u32::from(u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or(0)])))
        .sum();
    let once = (sum & 0xffff) + (sum >> 16);
    let folded = (once & 0xffff) + (once >> 16);
    let sum = u16::try_from(folded).expect("folded twice, it is of 16 bits");
    // Of UDP, zero says that there is none.
    (!sum).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_a_header_has_its_known_checksum() {
        let mut header = vec![0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0, 0];
        header.extend([0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7]);
        finish_ipv4(&mut header);
        assert_eq!(header[10..12], [0xb8, 0x61]);
    }
}
