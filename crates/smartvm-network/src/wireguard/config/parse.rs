//! From lines to values.

use std::net::Ipv4Addr;

use super::breach::{ConfigBreach, ConfigRule, InvalidWireGuardConfig};
use super::field::{Field, Section, Use};
use super::interface::WireGuardConfig;
use super::peer::PeerConfig;
use super::value;
use crate::wireguard::endpoint::Endpoint;
use crate::wireguard::key::{PublicKey, SecretKey};

/// More than any real configuration, and little enough to be read without a thought.
const MAX_KIB: usize = 1024;

/// What has been read so far. Sections of one kind are told apart only for peers.
#[derive(Default)]
struct Draft {
    breaches: Vec<ConfigBreach>,
    section: Option<Section>,
    private_key: Once<SecretKey>,
    listen_port: Once<u16>,
    firewall_mark: Once<u32>,
    mtu: Once<u16>,
    addresses: Vec<ipnet::Ipv4Net>,
    /// A line named an address, whether or not it was one.
    address_given: bool,
    /// The line of an IPv6 address that was left out.
    address_left_out: Option<usize>,
    dns: Vec<Ipv4Addr>,
    peers: Vec<PeerDraft>,
}

#[derive(Default)]
struct PeerDraft {
    line: usize,
    public_key: Once<PublicKey>,
    preshared_key: Once<SecretKey>,
    endpoint: Once<Endpoint>,
    persistent_keepalive: Once<u16>,
    allowed_ips: Vec<ipnet::Ipv4Net>,
    /// The line of an IPv6 network that was left out.
    allowed_left_out: Option<usize>,
}

/// A field that may be given once. One that was given and was wrong counts as given.
struct Once<T> {
    given: bool,
    value: Option<T>,
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self { given: false, value: None }
    }
}

impl<T> Once<T> {
    fn set(&mut self, field: Field, value: Option<T>) -> Result<(), ConfigRule> {
        if std::mem::replace(&mut self.given, true) {
            return Err(ConfigRule::Repeated(field));
        }
        self.value = value;
        if self.value.is_some() { Ok(()) } else { Err(ConfigRule::Malformed(field)) }
    }
}

pub(super) fn parse(text: &str) -> Result<WireGuardConfig, InvalidWireGuardConfig> {
    let refuse =
        |rule| InvalidWireGuardConfig { breaches: vec![ConfigBreach { line: None, rule }] };
    if text.len() > MAX_KIB * 1024 {
        return Err(refuse(ConfigRule::TooLarge { limit: MAX_KIB }));
    }
    let mut draft = Draft::default();
    let mut empty = true;
    for (index, line) in text.lines().enumerate() {
        let line = without_comment(line);
        if line.is_empty() {
            continue;
        }
        empty = false;
        if let Err(rule) = draft.read(index + 1, line) {
            draft.breaches.push(ConfigBreach { line: Some(index + 1), rule });
        }
    }
    if empty {
        return Err(refuse(ConfigRule::Empty));
    }
    draft.finish()
}

/// A comment begins with `#` or `;`, at the start of a line or after white space.
fn without_comment(line: &str) -> &str {
    let mut after_space = true;
    for (at, character) in line.char_indices() {
        if after_space && (character == '#' || character == ';') {
            return line[..at].trim();
        }
        after_space = character.is_whitespace();
    }
    line.trim()
}

impl Draft {
    fn read(&mut self, number: usize, line: &str) -> Result<(), ConfigRule> {
        if let Some(section) = Section::opened_by(line) {
            self.section = Some(section);
            if section == Section::Peer {
                self.peers.push(PeerDraft { line: number, ..PeerDraft::default() });
            }
            return Ok(());
        }
        let (name, value) = line.split_once('=').ok_or(ConfigRule::NotALine)?;
        let (name, value) = (name.trim_end(), value.trim_start());
        let section = self.section.ok_or(ConfigRule::OutsideSection)?;
        let field = Field::named(name).ok_or(ConfigRule::Unknown(section))?;
        match field.handled() {
            Use::Refused => Err(ConfigRule::Unsafe(field)),
            Use::Resolvers if section == Section::Interface => {
                self.dns.extend(value::resolvers(value));
                Ok(())
            }
            Use::Resolvers | Use::Ignored => Ok(()),
            Use::Read(home) if home != section => Err(ConfigRule::Misplaced(field, section)),
            Use::Read(Section::Interface) => self.read_interface(number, field, value),
            Use::Read(Section::Peer) => self.read_peer(number, field, value),
        }
    }

    fn read_interface(
        &mut self,
        number: usize,
        field: Field,
        value: &str,
    ) -> Result<(), ConfigRule> {
        match field {
            Field::PrivateKey => self.private_key.set(field, value::secret_key(value)),
            Field::ListenPort => self.listen_port.set(field, value::decimal(value)),
            Field::FwMark => self.firewall_mark.set(field, value::firewall_mark(value)),
            Field::Mtu => self.mtu.set(field, value::mtu(value)),
            Field::Address => {
                self.address_given = true;
                let mut items = value::items(value).peekable();
                items.peek().ok_or(ConfigRule::NoValue(field))?;
                for item in items {
                    match value::interface_address(item) {
                        Err(ConfigRule::Ipv6(_)) => self.address_left_out = Some(number),
                        address => self.addresses.push(address?),
                    }
                }
                Ok(())
            }
            _ => unreachable!("the table of fields gives this section these fields alone"),
        }
    }

    fn read_peer(&mut self, number: usize, field: Field, value: &str) -> Result<(), ConfigRule> {
        let peer = self.peers.last_mut().expect("a [Peer] line began this section");
        match field {
            Field::PublicKey => {
                let key: Option<PublicKey> = value.parse().ok();
                peer.public_key.set(field, key.filter(|key| *key.as_bytes() != [0; 32]))
            }
            Field::PresharedKey => peer.preshared_key.set(field, value::secret_key(value)),
            Field::Endpoint => peer.endpoint.set(field, Endpoint::parse(value)),
            Field::PersistentKeepalive => {
                peer.persistent_keepalive.set(field, value::keepalive(value))
            }
            Field::AllowedIps => {
                let mut items = value::items(value).peekable();
                items.peek().ok_or(ConfigRule::NoValue(field))?;
                for item in items {
                    match value::network(field, item) {
                        Err(ConfigRule::Ipv6(_)) => peer.allowed_left_out = Some(number),
                        network => peer.allowed_ips.push(network?.trunc()),
                    }
                }
                Ok(())
            }
            _ => unreachable!("the table of fields gives this section these fields alone"),
        }
    }

    fn finish(mut self) -> Result<WireGuardConfig, InvalidWireGuardConfig> {
        self.check_peers();
        self.check_left_out();
        for (field, given) in
            [(Field::PrivateKey, self.private_key.given), (Field::Address, self.address_given)]
        {
            if !given {
                let rule = ConfigRule::InterfaceLacks(field);
                self.breaches.push(ConfigBreach { line: None, rule });
            }
        }
        match self.private_key.value.take() {
            Some(private_key) if self.breaches.is_empty() => Ok(WireGuardConfig {
                private_key,
                listen_port: self.listen_port.value,
                firewall_mark: self.firewall_mark.value,
                addresses: self.addresses,
                mtu: self.mtu.value,
                dns: self.dns,
                peers: self.peers.into_iter().filter_map(PeerDraft::finish).collect(),
            }),
            _ => {
                self.breaches.sort_by_key(|breach| breach.line.unwrap_or(usize::MAX));
                Err(InvalidWireGuardConfig { breaches: self.breaches })
            }
        }
    }

    /// IPv6 beside IPv4 is left out, as guests have none; alone, it would leave nothing.
    fn check_left_out(&mut self) {
        let interface = self.address_left_out.filter(|_| self.addresses.is_empty());
        let peers = self.peers.iter().filter(|peer| peer.allowed_ips.is_empty());
        let peers = peers.filter_map(|peer| peer.allowed_left_out);
        let breach = |line, field| ConfigBreach { line: Some(line), rule: ConfigRule::Ipv6(field) };
        let all = interface.map(|line| breach(line, Field::Address)).into_iter();
        let all = all.chain(peers.map(|line| breach(line, Field::AllowedIps))).collect::<Vec<_>>();
        self.breaches.extend(all);
    }

    fn check_peers(&mut self) {
        let mut seen = std::collections::HashSet::new();
        for peer in &self.peers {
            let rule = match peer.public_key.value {
                Some(key) if !seen.insert(key) => ConfigRule::SamePeer,
                None if !peer.public_key.given => ConfigRule::PeerWithoutKey,
                Some(_) | None => continue,
            };
            self.breaches.push(ConfigBreach { line: Some(peer.line), rule });
        }
    }
}

impl PeerDraft {
    /// None for a peer without a key, which has been reported.
    fn finish(self) -> Option<PeerConfig> {
        Some(PeerConfig {
            public_key: self.public_key.value?,
            preshared_key: self.preshared_key.value,
            allowed_ips: self.allowed_ips,
            endpoint: self.endpoint.value,
            persistent_keepalive: self.persistent_keepalive.value,
        })
    }
}
