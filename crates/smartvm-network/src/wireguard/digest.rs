//! A short name for a whole configuration, by which an interface is known to have it.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::config::WireGuardConfig;

/// 32 hexadecimal digits that change with every part of the configuration. No part of it can be had
/// from them: they are half of a SHA-256 over a key of 256 bits.
pub(super) fn digest(config: &WireGuardConfig) -> String {
    // This hash overwrites its memory when dropped.
    let mut hash = Sha256::new();
    let mut field = |name: &str, value: &[u8]| {
        hash.update(name.as_bytes());
        hash.update(u64::try_from(value.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(value);
    };
    field("private", config.private_key.expose());
    field("port", &config.listen_port.unwrap_or_default().to_be_bytes());
    field("mark", &config.firewall_mark.unwrap_or_default().to_be_bytes());
    for peer in &config.peers {
        field("peer", peer.public_key.as_bytes());
        if let Some(shared) = &peer.preshared_key {
            field("shared", shared.expose());
        }
        if let Some(endpoint) = &peer.endpoint {
            field("endpoint", endpoint.to_string().as_bytes());
        }
        field("keepalive", &peer.persistent_keepalive.unwrap_or_default().to_be_bytes());
        for allowed in &peer.allowed_ips {
            field("allowed", &allowed.addr().octets());
            field("prefix", &[allowed.prefix_len()]);
        }
    }
    let mut text = String::new();
    for byte in &hash.finalize()[..16] {
        write!(text, "{byte:02x}").expect("a string takes every text");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "[Interface]
PrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=
Address = 10.70.0.2/32
ListenPort = 1
FwMark = 2
[Peer]
PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=
PresharedKey = FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE=
AllowedIPs = 10.0.0.0/8
Endpoint = 203.0.113.10:51820
PersistentKeepalive = 25
";

    #[test]
    fn a_digest_changes_with_every_part_and_with_nothing_else() {
        let of = |text: &str| digest(&WireGuardConfig::parse(text).unwrap());
        let whole = of(WHOLE);
        assert_eq!(whole.len(), 32);
        assert_eq!(whole, of(&WHOLE.replace(" = ", "=")));
        for (part, other) in [
            ("yAnz", "zAnz"),
            ("Port = 1", "Port = 3"),
            ("Mark = 2", "Mark = 3"),
            ("xTIB", "yTIB"),
            ("FpCy", "GpCy"),
            ("10.0.0.0/8", "10.0.0.0/9"),
            (":51820", ":51821"),
            ("= 25", "= 26"),
            ("PresharedKey = FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE=\n", ""),
        ] {
            assert_ne!(whole, of(&WHOLE.replace(part, other)), "{part}");
        }
    }
}
