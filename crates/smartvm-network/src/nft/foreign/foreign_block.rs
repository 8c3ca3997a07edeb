//! That another program's firewall stops guests, and what to do about it.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::guest_way::GuestWay;
use super::legacy::{self, LegacyTable};
use super::listing::{self, Listing};
use super::probe::GuestTraffic;
use crate::link::Links;
use crate::netlink::{NetlinkError, NetlinkSocket, Protocol};
use crate::{InterfaceName, Subnet};

/// A chain of another program that stops what our rules let through.
///
/// Only what is certain is one: whatever is not known of a packet, the chain drops it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ForeignBlock {
    /// The family of its table, `ip` or `inet`.
    pub family: &'static str,
    /// Its table.
    pub table: String,
    /// The chain.
    pub chain: String,
    /// Where its rules are.
    pub backend: ForeignBackend,
    /// Whose it is, as far as it can be told.
    pub program: ForeignProgram,
    /// What of guests it stops.
    pub stops: Vec<GuestTraffic>,
    /// The commands that let guests through, each to be run as root.
    pub remedies: Vec<String>,
}

/// Where rules of another program are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ForeignBackend {
    /// In nftables, as those of `nft` and `iptables-nft`.
    Nftables,
    /// In the tables of the old iptables.
    IptablesLegacy,
}

/// Who has a firewall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ForeignProgram {
    /// Docker, through iptables.
    Docker,
    /// Another that uses iptables.
    Iptables,
    /// firewalld.
    Firewalld,
    /// Another.
    Other,
}

/// The chain that Docker leaves to the administrator.
pub(super) const DOCKER_USER: &str = "DOCKER-USER";

impl ForeignBlock {
    /// Those that stop guests of a network. `uplink` is the link that they leave by, by default that of
    /// the default route; `published` tells whether ports of the host lead to them.
    ///
    /// Rules of iptables are seen wherever they are: `iptables-nft` has them in nftables, `iptables-legacy` in tables of
    /// their own. Nothing is changed, and nothing is made.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn find(
        bridge: &InterfaceName,
        subnet: Subnet,
        uplink: Option<&InterfaceName>,
        published: bool,
    ) -> Result<Vec<Self>, NetlinkError> {
        let mut socket = NetlinkSocket::open(Protocol::Netfilter)?;
        let bases = listing::forward_chains(&mut socket)?;
        let tables = legacy::tables()?;
        if bases.is_empty() && tables.is_empty() {
            return Ok(Vec::new());
        }
        let uplink = match uplink {
            Some(uplink) => Some(uplink.to_string()),
            None => default_link()?,
        };
        let uplink = uplink.as_deref();
        let mut blocks = Vec::new();
        if let Some(way) = GuestWay::new(bridge, subnet, uplink, published) {
            for base in bases {
                let listing = Listing::read(&mut socket, base.table.clone());
                let found =
                    listing.and_then(|mut it| way.block(&mut it, &base, ForeignBackend::Nftables));
                match found {
                    Ok(block) => blocks.extend(block),
                    // It was changed meanwhile: what it does now is not known.
                    Err(error) if error.is(libc::ENOENT) || error.is(libc::EINTR) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        let legacy = |table: LegacyTable| table.block(bridge, subnet, uplink, published);
        blocks.extend(tables.into_iter().filter_map(legacy));
        Ok(blocks)
    }
}

/// The name of the link that the default route leads through; none when there are several or none.
fn default_link() -> Result<Option<String>, NetlinkError> {
    let mut links = Links::open()?;
    let routes = links.routes()?;
    let through = routes.iter().filter(|route| route.prefix == 0).filter_map(|route| route.link);
    let through: BTreeSet<u32> = through.collect();
    let mut through = through.into_iter();
    let (Some(index), None) = (through.next(), through.next()) else { return Ok(None) };
    Ok(links.with_index(index)?.map(|link| link.name))
}

impl fmt::Display for ForeignProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Docker => "Docker",
            Self::Iptables => "iptables",
            Self::Firewalld => "firewalld",
            Self::Other => "another program",
        })
    }
}

impl fmt::Display for GuestTraffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connections => "connections of guests",
            Self::Answers => "answers to guests",
            Self::Published => "connections to published ports",
        })
    }
}

/// Says what stops what, without the remedies.
impl fmt::Display for ForeignBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { family, table, chain, backend, program, stops, .. } = self;
        let backend = match backend {
            ForeignBackend::Nftables => "",
            ForeignBackend::IptablesLegacy => " in iptables-legacy",
        };
        let stops = stops.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        write!(f, "the chain {family} {table} {chain} of {program}{backend} stops {stops}")
    }
}
