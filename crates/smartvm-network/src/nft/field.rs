//! Parts of a packet that a set is asked with.

use super::expression::{load_meta, load_payload};
use super::kernel as k;
use crate::netlink::AttributeWriter;

/// A part of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// The name of the link that it came in by.
    InterfaceIn,
    /// The name of the link that it goes out by.
    InterfaceOut,
    /// The hardware address that sent it.
    EtherSource,
    /// The source of its IPv4 header.
    IpSource,
    /// The destination of its IPv4 header.
    IpDestination,
    /// The sender's hardware address as ARP says it.
    ArpSenderMac,
    /// The sender's IPv4 address as ARP says it.
    ArpSenderIp,
    /// The protocol above IP.
    Protocol,
    /// The destination port of TCP or UDP.
    DestinationPort,
}

impl Field {
    /// As `nft` writes it.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::InterfaceIn => "iifname",
            Self::InterfaceOut => "oifname",
            Self::EtherSource => "ether saddr",
            Self::IpSource => "ip saddr",
            Self::IpDestination => "ip daddr",
            Self::ArpSenderMac => "arp saddr ether",
            Self::ArpSenderIp => "arp saddr ip",
            Self::Protocol => "meta l4proto",
            Self::DestinationPort => "th dport",
        }
    }

    /// The type of a set of it, as `nft` writes it, and by the number that `nft` goes by.
    pub(super) const fn data_type(self) -> (&'static str, u32) {
        match self {
            Self::InterfaceIn | Self::InterfaceOut => ("ifname", 41),
            Self::EtherSource | Self::ArpSenderMac => ("ether_addr", 9),
            Self::IpSource | Self::IpDestination | Self::ArpSenderIp => ("ipv4_addr", 7),
            Self::Protocol => ("inet_proto", 12),
            Self::DestinationPort => ("inet_service", 13),
        }
    }

    /// Whether it is a part of an IPv4 header.
    pub(super) const fn is_ipv4(self) -> bool {
        matches!(self, Self::IpSource | Self::IpDestination)
    }

    /// How many words of four bytes it takes in a key.
    pub(super) const fn words(self) -> u32 {
        match self {
            Self::InterfaceIn | Self::InterfaceOut => 4,
            Self::EtherSource | Self::ArpSenderMac => 2,
            _ => 1,
        }
    }

    /// How many bytes there are of it.
    pub(super) const fn length(self) -> u32 {
        match self {
            Self::InterfaceIn | Self::InterfaceOut => 16,
            Self::EtherSource | Self::ArpSenderMac => 6,
            Self::IpSource | Self::IpDestination | Self::ArpSenderIp => 4,
            Self::Protocol => 1,
            Self::DestinationPort => 2,
        }
    }

    /// Loads it into the registers that begin with a word.
    pub(super) fn load(self, word: u32, list: &mut AttributeWriter) {
        let register = k::register(word);
        match self {
            Self::InterfaceIn => load_meta(list, k::META_IIFNAME, register),
            Self::InterfaceOut => load_meta(list, k::META_OIFNAME, register),
            Self::EtherSource => load_payload(list, k::BASE_LINK, 6, 6, register),
            Self::IpSource => load_payload(list, k::BASE_NETWORK, 12, 4, register),
            Self::IpDestination => load_payload(list, k::BASE_NETWORK, 16, 4, register),
            Self::ArpSenderMac => load_payload(list, k::BASE_NETWORK, 8, 6, register),
            Self::ArpSenderIp => load_payload(list, k::BASE_NETWORK, 14, 4, register),
            Self::Protocol => load_meta(list, k::META_L4PROTO, register),
            Self::DestinationPort => load_payload(list, k::BASE_TRANSPORT, 2, 2, register),
        }
    }
}

/// The words of a key of these fields.
pub(super) fn words(fields: &[Field]) -> u32 {
    fields.iter().map(|field| field.words()).sum()
}

/// The number that `nft` goes by for a key of these fields.
pub(super) fn type_number(fields: &[Field]) -> u32 {
    fields.iter().fold(0, |number, field| (number << 6) | field.data_type().1)
}

/// The type of a set of these fields, as `nft` writes it.
pub(super) fn type_text(fields: &[Field]) -> String {
    let types: Vec<_> = fields.iter().map(|field| field.data_type().0).collect();
    types.join(" . ")
}

/// The fields as `nft` writes them in a rule.
pub(super) fn fields_text(fields: &[Field]) -> String {
    let texts: Vec<_> = fields.iter().map(|field| field.text()).collect();
    texts.join(" . ")
}
