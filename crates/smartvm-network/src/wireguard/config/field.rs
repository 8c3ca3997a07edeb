//! The names of sections and fields, which are told apart without regard to case.

use std::fmt;

/// A section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// The host's end.
    Interface,
    /// The other end.
    Peer,
}

/// A field that has a meaning to us or to `wg-quick`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the field of that name")]
#[non_exhaustive]
pub enum Field {
    PrivateKey,
    ListenPort,
    FwMark,
    Address,
    Mtu,
    PublicKey,
    PresharedKey,
    AllowedIps,
    Endpoint,
    PersistentKeepalive,
    Dns,
    Table,
    PreUp,
    PostUp,
    PreDown,
    PostDown,
    SaveConfig,
}

/// What is done with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Read in that section.
    Read(Section),
    /// Whom guests are told to ask for names; without effect on a peer.
    Resolvers,
    /// Known, and without effect.
    Ignored,
    /// Refused wherever it stands.
    Refused,
}

impl Section {
    /// The section that a line opens.
    pub(super) fn opened_by(line: &str) -> Option<Self> {
        let name = line.strip_prefix('[')?.strip_suffix(']')?;
        [Self::Interface, Self::Peer]
            .into_iter()
            .find(|section| section.name().eq_ignore_ascii_case(name))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Interface => "Interface",
            Self::Peer => "Peer",
        }
    }
}

impl Field {
    pub(super) const ALL: [Self; 17] = [
        Self::PrivateKey,
        Self::ListenPort,
        Self::FwMark,
        Self::Address,
        Self::Mtu,
        Self::PublicKey,
        Self::PresharedKey,
        Self::AllowedIps,
        Self::Endpoint,
        Self::PersistentKeepalive,
        Self::Dns,
        Self::Table,
        Self::PreUp,
        Self::PostUp,
        Self::PreDown,
        Self::PostDown,
        Self::SaveConfig,
    ];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name().eq_ignore_ascii_case(name))
    }

    pub(super) fn handled(self) -> Use {
        match self {
            Self::PrivateKey | Self::ListenPort | Self::FwMark | Self::Address | Self::Mtu => {
                Use::Read(Section::Interface)
            }
            Self::PublicKey
            | Self::PresharedKey
            | Self::AllowedIps
            | Self::Endpoint
            | Self::PersistentKeepalive => Use::Read(Section::Peer),
            Self::Dns => Use::Resolvers,
            Self::Table => Use::Ignored,
            Self::PreUp | Self::PostUp | Self::PreDown | Self::PostDown | Self::SaveConfig => {
                Use::Refused
            }
        }
    }

    /// The name as `wg-quick` documents it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PrivateKey => "PrivateKey",
            Self::ListenPort => "ListenPort",
            Self::FwMark => "FwMark",
            Self::Address => "Address",
            Self::Mtu => "MTU",
            Self::PublicKey => "PublicKey",
            Self::PresharedKey => "PresharedKey",
            Self::AllowedIps => "AllowedIPs",
            Self::Endpoint => "Endpoint",
            Self::PersistentKeepalive => "PersistentKeepalive",
            Self::Dns => "DNS",
            Self::Table => "Table",
            Self::PreUp => "PreUp",
            Self::PostUp => "PostUp",
            Self::PreDown => "PreDown",
            Self::PostDown => "PostDown",
            Self::SaveConfig => "SaveConfig",
        }
    }

    /// What a value must be, as a phrase after "must be".
    pub(super) fn form(self) -> &'static str {
        match self {
            Self::PrivateKey | Self::PublicKey | Self::PresharedKey => {
                "a key: 32 bytes in base64, not all of them zero"
            }
            Self::ListenPort => "a number from 0 to 65535",
            Self::FwMark => "`off` or a 32-bit number, in decimal or with 0x in hexadecimal",
            Self::Address | Self::AllowedIps => {
                "IPv4 addresses, each with a prefix length of 0 to 32 if any"
            }
            Self::Mtu => "a number from 576 to 9000",
            Self::Endpoint => "HOST:PORT or [IPV6]:PORT",
            Self::PersistentKeepalive => "`off` or a number of seconds from 0 to 65535",
            Self::Dns
            | Self::Table
            | Self::PreUp
            | Self::PostUp
            | Self::PreDown
            | Self::PostDown
            | Self::SaveConfig => "left out",
        }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
