//! Ports of the host that lead to a guest.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What ports belong to.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub enum Transport {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

impl Transport {
    /// Its number in an IPv4 header.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }

    /// `tcp` or `udp`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// A port of the host whose connections go to a guest.
///
/// Written as `[ADDRESS:]HOST_PORT:GUEST_PORT[/tcp|udp]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PublishedPort {
    /// The host's address; 0.0.0.0, the default, stands for all but loopback.
    #[serde(default = "unspecified")]
    pub host_address: Ipv4Addr,
    /// The host's port.
    pub host_port: u16,
    /// The guest's port.
    pub guest_port: u16,
    /// TCP, the default, or UDP.
    #[serde(default)]
    pub protocol: Transport,
}

const fn unspecified() -> Ipv4Addr {
    Ipv4Addr::UNSPECIFIED
}

/// A port that cannot be published. Code `INVALID_PUBLISHED_PORT`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPublishedPort {
    /// The text is none.
    #[error("`{}` is not `[ADDRESS:]HOST_PORT:GUEST_PORT[/tcp|udp]`", text.escape_debug())]
    Text {
        /// What was written.
        text: String,
    },
    /// A port is 0.
    #[error("a published port must be between 1 and 65535")]
    Port,
    /// The host's address is one that no packet from elsewhere may have.
    #[error("a port cannot be published at {address}")]
    Address {
        /// The address.
        address: Ipv4Addr,
    },
}

impl InvalidPublishedPort {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "INVALID_PUBLISHED_PORT"
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Address { address } if address.is_loopback() => Some(
                "loopback stays the host's own: programs of the host reach the guest at its own \
                 address"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

impl PublishedPort {
    /// Checks what a text or JSON could have made wrong.
    ///
    /// # Errors
    /// A port of 0, or an address that cannot be the host's towards others.
    pub const fn check(&self) -> Result<(), InvalidPublishedPort> {
        if self.host_port == 0 || self.guest_port == 0 {
            return Err(InvalidPublishedPort::Port);
        }
        let address = self.host_address;
        if address.is_loopback() || address.is_multicast() || address.is_broadcast() {
            return Err(InvalidPublishedPort::Address { address });
        }
        Ok(())
    }

    /// Whether both want the same connections.
    #[must_use]
    pub fn conflicts(&self, other: &Self) -> bool {
        let everywhere = self.host_address.is_unspecified() || other.host_address.is_unspecified();
        self.protocol == other.protocol
            && self.host_port == other.host_port
            && (everywhere || self.host_address == other.host_address)
    }
}

impl FromStr for PublishedPort {
    type Err = InvalidPublishedPort;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidPublishedPort::Text { text: text.to_owned() };
        let (ports, protocol) = match text.split_once('/') {
            None => (text, Transport::Tcp),
            Some((ports, "tcp")) => (ports, Transport::Tcp),
            Some((ports, "udp")) => (ports, Transport::Udp),
            Some(_) => return Err(invalid()),
        };
        let (rest, guest_port) = ports.rsplit_once(':').ok_or_else(invalid)?;
        let (host_address, host_port) = match rest.rsplit_once(':') {
            None => (Ipv4Addr::UNSPECIFIED, rest),
            Some((address, port)) => (address.parse().map_err(|_| invalid())?, port),
        };
        let port = |text: &str| {
            let plain = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| plain).ok_or_else(invalid)
        };
        let (host_port, guest_port) = (port(host_port)?, port(guest_port)?);
        let published = Self { host_address, host_port, guest_port, protocol };
        published.check()?;
        Ok(published)
    }
}

impl fmt::Display for PublishedPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.host_address.is_unspecified() {
            write!(f, "{}:", self.host_address)?;
        }
        write!(f, "{}:{}/{}", self.host_port, self.guest_port, self.protocol.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_and_written() {
        for (text, written) in [
            ("8080:80", "8080:80/tcp"),
            ("53:53/udp", "53:53/udp"),
            ("192.0.2.1:8080:80/tcp", "192.0.2.1:8080:80/tcp"),
            ("0.0.0.0:8080:80", "8080:80/tcp"),
        ] {
            assert_eq!(text.parse::<PublishedPort>().unwrap().to_string(), written);
        }
        for text in [
            "",
            "80",
            ":80",
            "80:",
            "0:80",
            "80:0",
            "65536:80",
            "+80:80",
            "80:80/sctp",
            "a:80:80",
            "127.0.0.1:80:80",
            "224.0.0.1:80:80",
            "255.255.255.255:80:80",
            "1:2:3:4",
        ] {
            assert_eq!(text.parse::<PublishedPort>().unwrap_err().code(), "INVALID_PUBLISHED_PORT");
        }
    }

    #[test]
    fn ports_conflict_where_a_packet_could_mean_both() {
        let conflict = |a: &str, b: &str| {
            let (a, b): (PublishedPort, PublishedPort) = (a.parse().unwrap(), b.parse().unwrap());
            assert_eq!(a.conflicts(&b), b.conflicts(&a));
            a.conflicts(&b)
        };
        assert!(conflict("80:1", "80:2"));
        assert!(conflict("192.0.2.1:80:1", "80:2"));
        assert!(!conflict("192.0.2.1:80:1", "192.0.2.2:80:1"));
        assert!(!conflict("80:1", "80:1/udp"));
        assert!(!conflict("80:1", "81:1"));
    }
}
