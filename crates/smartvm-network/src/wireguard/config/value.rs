//! How the values of fields are read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::Ipv4Net;

use super::breach::ConfigRule;
use super::field::Field;
use crate::wireguard::key::SecretKey;

const MIN_MTU: u16 = 576;
const MAX_MTU: u16 = 9000;

/// Decimal digits and nothing else: `FromStr` alone would take a sign.
pub(in crate::wireguard) fn decimal<T: FromStr>(text: &str) -> Option<T> {
    if text.starts_with('+') { None } else { text.parse().ok() }
}

/// A key that is one: all zero is how the kernel writes that there is none.
pub(super) fn secret_key(text: &str) -> Option<SecretKey> {
    text.parse().ok().filter(|key: &SecretKey| !key.is_zero())
}

pub(super) fn mtu(text: &str) -> Option<u16> {
    decimal(text).filter(|mtu| (MIN_MTU..=MAX_MTU).contains(mtu))
}

pub(super) fn firewall_mark(text: &str) -> Option<u32> {
    if text.eq_ignore_ascii_case("off") {
        return Some(0);
    }
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) if !digits.starts_with('+') => u32::from_str_radix(digits, 16).ok(),
        Some(_) => None,
        None => decimal(text),
    }
}

pub(super) fn keepalive(text: &str) -> Option<u16> {
    if text.eq_ignore_ascii_case("off") { Some(0) } else { decimal(text) }
}

/// The items of a list; empty ones do not count.
pub(super) fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// The resolvers of a list that a guest can ask; what else is in it are IPv6 addresses, and domains to search.
pub(super) fn resolvers(text: &str) -> impl Iterator<Item = Ipv4Addr> {
    let addresses = items(text).filter_map(|item| item.parse::<Ipv4Addr>().ok());
    addresses.filter(|it| !it.is_unspecified() && !it.is_loopback() && !it.is_multicast())
}

/// An IPv4 address, alone or with a prefix length.
pub(super) fn network(field: Field, text: &str) -> Result<Ipv4Net, ConfigRule> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, decimal::<u8>(prefix)),
        None => (text, Some(32)),
    };
    if address.parse::<Ipv6Addr>().is_ok() {
        return Err(ConfigRule::Ipv6(field));
    }
    let network = address.parse().ok().zip(prefix);
    network
        .and_then(|(address, prefix): (Ipv4Addr, u8)| Ipv4Net::new(address, prefix).ok())
        .ok_or(ConfigRule::Malformed(field))
}

/// An address of an interface, which cannot be one that stands for none, many or ourselves.
pub(super) fn interface_address(text: &str) -> Result<Ipv4Net, ConfigRule> {
    let network = network(Field::Address, text)?;
    let address = network.addr();
    let unusable = address.is_unspecified()
        || address.is_broadcast()
        || address.is_loopback()
        || IpAddr::V4(address).is_multicast();
    if unusable { Err(ConfigRule::NotAssignable) } else { Ok(network) }
}
