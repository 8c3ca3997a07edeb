//! What sets and maps hold.

use std::net::Ipv4Addr;

use crate::policy::Transport;
use crate::{InterfaceName, MacAddress};

/// One element: a key, and in a map what the key leads to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Element {
    /// As the kernel has it: each field padded to four bytes.
    pub(super) key: Vec<u8>,
    /// As `nft` writes it.
    pub(super) text: String,
    pub(super) data: ElementData,
}

/// What a key leads to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ElementData {
    /// Nothing: it is in a set.
    None,
    /// A chain, from which packets come back.
    Jump(String),
    /// An address and a port.
    Target(Ipv4Addr, u16),
}

impl Element {
    /// The key as the kernel has it: each field padded to four bytes.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// What the key leads to.
    #[must_use]
    pub const fn data(&self) -> &ElementData {
        &self.data
    }

    /// Who may send by which link.
    #[must_use]
    pub fn guest(tap: &InterfaceName, mac: MacAddress, address: Ipv4Addr) -> Self {
        let mut key = vec![0; 28];
        key[..tap.as_str().len()].copy_from_slice(tap.as_str().as_bytes());
        key[16..22].copy_from_slice(&mac.octets());
        key[24..28].copy_from_slice(&address.octets());
        let text = format!("\"{tap}\" . {mac} . {address}");
        Self { key, text, data: ElementData::None }
    }

    /// A link.
    #[must_use]
    pub fn link(name: &InterfaceName) -> Self {
        let mut key = vec![0; 16];
        key[..name.as_str().len()].copy_from_slice(name.as_str().as_bytes());
        Self { key, text: format!("\"{name}\""), data: ElementData::None }
    }

    /// The address of a guest.
    #[must_use]
    pub fn address(address: Ipv4Addr) -> Self {
        let key = address.octets().to_vec();
        Self { key, text: address.to_string(), data: ElementData::None }
    }

    /// An address whose packets go through a chain.
    #[must_use]
    pub fn policy(address: Ipv4Addr, chain: &str) -> Self {
        let data = ElementData::Jump(chain.to_owned());
        Self { key: address.octets().to_vec(), text: address.to_string(), data }
    }

    /// A port of a guest that may be reached from outside.
    #[must_use]
    pub fn open(address: Ipv4Addr, protocol: Transport, port: u16) -> Self {
        let mut key = address.octets().to_vec();
        key.extend(service(protocol, port));
        let text = format!("{address} . {} . {port}", protocol.as_str());
        Self { key, text, data: ElementData::None }
    }

    /// Whom a guest may ask for names.
    #[must_use]
    pub fn resolver(guest: Ipv4Addr, resolver: Ipv4Addr, protocol: Transport, port: u16) -> Self {
        let key = [&guest.octets()[..], &resolver.octets(), &service(protocol, port)].concat();
        let text = format!("{guest} . {resolver} . {} . {port}", protocol.as_str());
        Self { key, text, data: ElementData::None }
    }

    /// A port of the host, at one address or at any, and where it leads to.
    #[must_use]
    pub fn published(
        host: Option<Ipv4Addr>,
        protocol: Transport,
        port: u16,
        target: (Ipv4Addr, u16),
    ) -> Self {
        let mut key = Vec::new();
        let mut text = String::new();
        if let Some(host) = host {
            key.extend(host.octets());
            text = format!("{host} . ");
        }
        key.extend(service(protocol, port));
        text.push_str(&format!("{} . {port}", protocol.as_str()));
        Self { key, text, data: ElementData::Target(target.0, target.1) }
    }
}

/// A protocol and a port, as they stand in a key.
fn service(protocol: Transport, port: u16) -> [u8; 8] {
    let [high, low] = port.to_be_bytes();
    [protocol.number(), 0, 0, 0, high, low, 0, 0]
}
