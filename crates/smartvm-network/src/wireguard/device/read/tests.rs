//! Messages as the kernel writes them.

use proptest::prelude::*;

use super::super::attribute::{DEVICE_PRIVATE_KEY, PEER_PRESHARED_KEY};
use super::*;
use crate::netlink::AttributeWriter;

const KEY: [u8; 32] = [7; 32];

fn device(parts: &[AttributeWriter]) -> WireGuardDevice {
    let mut device = WireGuardDevice::of(&[]);
    for part in parts {
        device.add(Attributes::new(part.as_bytes()));
    }
    device
}

fn peer(list: &mut AttributeWriter, key: [u8; 32], allowed: &[[u8; 4]]) {
    list.nested(0, |peer| {
        peer.bytes(PEER_PUBLIC_KEY, &key)
            .bytes(PEER_PRESHARED_KEY, &[0; 32])
            .bytes(PEER_ENDPOINT, &[2, 0, 0xca, 0x6c, 203, 0, 113, 10, 0, 0, 0, 0, 0, 0, 0, 0])
            .u16(PEER_KEEPALIVE, 25)
            .bytes(
                PEER_LAST_HANDSHAKE,
                &[[10, 0, 0, 0, 0, 0, 0, 0], [5, 0, 0, 0, 0, 0, 0, 0]].concat(),
            )
            .bytes(PEER_RX_BYTES, &1000u64.to_ne_bytes())
            .bytes(PEER_TX_BYTES, &2000u64.to_ne_bytes())
            .nested(PEER_ALLOWED_IPS, |list| {
                for address in allowed {
                    list.nested(0, |one| {
                        one.u16(1, 2).bytes(ALLOWED_ADDRESS, address).u8(ALLOWED_PREFIX, 32);
                    });
                }
            });
    });
}

#[test]
fn a_device_is_read_from_all_its_messages() {
    let mut first = AttributeWriter::default();
    first
        .bytes(DEVICE_PRIVATE_KEY, &KEY)
        .bytes(DEVICE_PUBLIC_KEY, &[8; 32])
        .u16(DEVICE_LISTEN_PORT, 51820)
        .u32(DEVICE_FWMARK, 0xcafe)
        .nested(DEVICE_PEERS, |list| {
            peer(list, [1; 32], &[]);
            peer(list, [2; 32], &[[10, 0, 0, 1]]);
        });
    let mut second = AttributeWriter::default();
    second.nested(DEVICE_PEERS, |list| peer(list, [2; 32], &[[10, 0, 0, 2]]));
    let device = device(&[first, second]);
    assert_eq!((device.listen_port, device.firewall_mark), (51820, 0xcafe));
    assert_eq!(device.public_key, Some(PublicKey::from_bytes([8; 32])));
    let [one, two] = &device.peers[..] else { panic!("{device:?}") };
    assert_eq!(one.endpoint.unwrap().to_string(), "203.0.113.10:51820");
    assert_eq!((one.rx_bytes, one.tx_bytes, one.persistent_keepalive), (1000, 2000, 25));
    assert_eq!(one.latest_handshake, Some(SystemTime::UNIX_EPOCH + Duration::new(10, 5)));
    let two: Vec<_> = two.allowed_ips.iter().map(ToString::to_string).collect();
    assert_eq!(two, ["10.0.0.1/32", "10.0.0.2/32"]);
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>, kind in 0..10u16) {
        let mut writer = AttributeWriter::default();
        writer.bytes(kind, &bytes).nested(DEVICE_PEERS, |peers| {
            peers.nested(0, |peer| {
                peer.bytes(PEER_PUBLIC_KEY, &KEY).bytes(kind, &bytes).bytes(kind + 1, &bytes);
            });
        });
        let _ = device(&[writer]);
    }
}
