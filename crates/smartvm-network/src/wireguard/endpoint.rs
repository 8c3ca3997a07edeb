//! Where a peer is reached.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Where a peer is reached: an address of either family, or a host name, and a port.
///
/// The tunnel's own packets are the host's, not a guest's, so IPv6 works here although guests have
/// IPv4 only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// An address.
    Address(SocketAddr),
    /// A host name, which is looked up once, when the interface is set up.
    Name {
        /// The name.
        host: String,
        /// The UDP port.
        port: u16,
    },
}

/// The longest name that the domain name system can hold.
const MAX_HOST: usize = 253;

impl Endpoint {
    /// Reads `HOST:PORT` or `[IPV6]:PORT`. None when it is neither.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = super::config::decimal::<u16>(port).filter(|port| *port != 0)?;
        if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let address: Ipv6Addr = address.parse().ok()?;
            return reachable(address.into()).then(|| Self::Address((address, port).into()));
        }
        if host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            let address: IpAddr = IpAddr::V4(host.parse().ok()?);
            return reachable(address).then(|| Self::Address((address, port).into()));
        }
        is_host_name(host).then(|| Self::Name { host: host.to_owned(), port })
    }
}

/// Whether a single machine can have that address.
fn reachable(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !address.is_unspecified() && !address.is_multicast() && !broadcast
}

fn is_host_name(host: &str) -> bool {
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        let is_known = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
        !bytes.is_empty() && bytes.len() <= 63 && bytes[0] != b'-' && bytes.iter().all(is_known)
    };
    host.len() <= MAX_HOST && host.strip_suffix('.').unwrap_or(host).split('.').all(is_label)
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_and_names_are_told_apart() {
        for text in ["203.0.113.10:51820", "[2001:db8::1]:51820"] {
            let endpoint = Endpoint::parse(text).unwrap();
            assert!(matches!(endpoint, Endpoint::Address(_)), "{text}");
            assert_eq!(endpoint.to_string(), text);
        }
        for text in ["vpn.example.com:443", "vpn:1", "a_b.example.:65535", "1a.example:9"] {
            let endpoint = Endpoint::parse(text).unwrap();
            assert!(matches!(endpoint, Endpoint::Name { .. }), "{text}");
            assert_eq!(endpoint.to_string(), text);
        }
    }

    #[test]
    fn what_cannot_be_reached_is_refused() {
        for bad in [
            "",
            ":",
            "203.0.113.10",
            "203.0.113.10:",
            "203.0.113.10:0",
            "203.0.113.10:65536",
            "203.0.113.10:+1",
            "203.0.113:51820",
            "203.0.113.300:51820",
            "0.0.0.0:51820",
            "224.0.0.1:51820",
            "255.255.255.255:51820",
            "2001:db8::1:51820",
            "[2001:db8::1]",
            "[::]:51820",
            "[ff02::1]:51820",
            "[203.0.113.10]:51820",
            ":51820",
            "vpn..example:1",
            "-vpn:1",
            "vpn example:1",
            "vpn;rm:1",
        ] {
            assert_eq!(Endpoint::parse(bad), None, "{bad:?}");
        }
        assert_eq!(Endpoint::parse(&format!("{}:1", "a".repeat(64))), None);
        assert_eq!(Endpoint::parse(&format!("{}a:1", "a.".repeat(127))), None);
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(address: IpAddr, port in 1..=u16::MAX) {
            prop_assume!(reachable(address));
            let endpoint = Endpoint::Address((address, port).into());
            prop_assert_eq!(Endpoint::parse(&endpoint.to_string()), Some(endpoint));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[0-9a-z:.\\[\\]é-]{0,40}") {
            let _ = Endpoint::parse(&text);
        }
    }
}
