//! The numbers of the kernel's `wireguard` family, from `linux/wireguard.h`.

pub(super) const CMD_GET_DEVICE: u8 = 0;
pub(super) const CMD_SET_DEVICE: u8 = 1;

pub(super) const DEVICE_IFNAME: u16 = 2;
pub(super) const DEVICE_PRIVATE_KEY: u16 = 3;
pub(super) const DEVICE_PUBLIC_KEY: u16 = 4;
pub(super) const DEVICE_FLAGS: u16 = 5;
pub(super) const DEVICE_LISTEN_PORT: u16 = 6;
pub(super) const DEVICE_FWMARK: u16 = 7;
pub(super) const DEVICE_PEERS: u16 = 8;

/// The peers of this message are all there are.
pub(super) const DEVICE_REPLACE_PEERS: u32 = 1;

pub(super) const PEER_PUBLIC_KEY: u16 = 1;
pub(super) const PEER_PRESHARED_KEY: u16 = 2;
pub(super) const PEER_FLAGS: u16 = 3;
pub(super) const PEER_ENDPOINT: u16 = 4;
pub(super) const PEER_KEEPALIVE: u16 = 5;
pub(super) const PEER_LAST_HANDSHAKE: u16 = 6;
pub(super) const PEER_RX_BYTES: u16 = 7;
pub(super) const PEER_TX_BYTES: u16 = 8;
pub(super) const PEER_ALLOWED_IPS: u16 = 9;

/// The allowed addresses of this message are all that the peer has.
pub(super) const PEER_REPLACE_ALLOWED_IPS: u32 = 2;

pub(super) const ALLOWED_FAMILY: u16 = 1;
pub(super) const ALLOWED_ADDRESS: u16 = 2;
pub(super) const ALLOWED_PREFIX: u16 = 3;
