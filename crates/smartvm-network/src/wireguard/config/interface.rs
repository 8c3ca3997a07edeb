//! What the text says, in values that cannot be wrong.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::breach::InvalidWireGuardConfig;
use super::parse;
use super::peer::PeerConfig;
use crate::wireguard::key::SecretKey;

/// A managed WireGuard interface and its peers, as a text in the form of `wg-quick` describes them.
///
/// | section | fields | |
/// |---|---|---|
/// | `[Interface]` | `PrivateKey`, `Address` | must be there |
/// | | `ListenPort`, `FwMark`, `MTU` | |
/// | | `DNS` | guests are told its IPv4 addresses, as the tunnel may reach no other resolver |
/// | `[Peer]` | `PublicKey` | must be there |
/// | | `PresharedKey`, `AllowedIPs`, `Endpoint`, `PersistentKeepalive` | |
/// | either | `Table` | ignored: the table is ours |
/// | either | `PreUp`, `PostUp`, `PreDown`, `PostDown`, `SaveConfig` | refused: they run commands or write files |
///
/// Everything else is refused, and every breach is reported, with its line, at once. No error repeats
/// a word of the text, since any of it may be a key. Of `Address` and `AllowedIPs` what is IPv6 is left out, as the subnet
/// of the VMs is IPv4, and refused where nothing else is there; `Endpoint` may be IPv6, because the tunnel's own packets are the host's.
///
/// `Debug` shows no secret key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireGuardConfig {
    pub(in crate::wireguard) private_key: SecretKey,
    /// The UDP port. The kernel chooses when there is none.
    pub listen_port: Option<u16>,
    /// The mark of the tunnel's own packets. The kernel's default, 0, is none.
    pub firewall_mark: Option<u32>,
    /// The interface's addresses, at least one.
    pub addresses: Vec<Ipv4Net>,
    /// The size of the largest packet within the tunnel, in bytes; the kernel's default is 1420.
    pub mtu: Option<u16>,
    /// Whom to ask for names within the tunnel; by default nobody is named.
    pub dns: Vec<Ipv4Addr>,
    /// The other ends. Without one, nothing leaves.
    pub peers: Vec<PeerConfig>,
}

impl WireGuardConfig {
    /// Reads the form of `wg-quick`; see [`WireGuardConfig`] for what is in it.
    ///
    /// # Errors
    /// `INVALID_WIREGUARD_CONFIG` with every line that breaks a rule. It repeats nothing of the text.
    pub fn parse(text: &str) -> Result<Self, InvalidWireGuardConfig> {
        parse::parse(text)
    }
}
