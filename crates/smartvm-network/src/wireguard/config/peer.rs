//! The other end of a tunnel.

use ipnet::Ipv4Net;

use crate::wireguard::endpoint::Endpoint;
use crate::wireguard::key::{PublicKey, SecretKey};

/// A peer of the interface.
///
/// `Debug` shows no secret key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerConfig {
    /// The peer's key, which names it.
    pub public_key: PublicKey,
    pub(in crate::wireguard) preshared_key: Option<SecretKey>,
    /// Where packets may go to and come from through this peer; host bits are zero.
    pub allowed_ips: Vec<Ipv4Net>,
    /// Where it is reached. Without one, it must be the peer that begins.
    pub endpoint: Option<Endpoint>,
    /// Seconds between packets that keep a way open; 0 for none, as by default.
    pub persistent_keepalive: Option<u16>,
}
