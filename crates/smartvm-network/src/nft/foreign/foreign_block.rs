//! That another program's firewall stops guests, and what to do about it.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::listing::{self, ForwardChain, Listing, TableId};
use super::probe::{GuestTraffic, Probe};
use super::walk;
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
    /// Whose it is, as far as it can be told.
    pub program: ForeignProgram,
    /// What of guests it stops.
    pub stops: Vec<GuestTraffic>,
    /// The commands that let guests through, each to be run as root.
    pub remedies: Vec<String>,
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
const DOCKER_USER: &str = "DOCKER-USER";

impl ForeignBlock {
    /// Those that stop guests of a network. `uplink` is the link that they leave by, by default that of
    /// the default route; `published` tells whether ports of the host lead to them.
    ///
    /// Chains of iptables are seen where they are in nftables, as `iptables-nft` has them. Nothing is changed.
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
        if bases.is_empty() {
            return Ok(Vec::new());
        }
        let uplink = match uplink {
            Some(uplink) => Some(uplink.to_string()),
            None => default_link()?,
        };
        let Some(guest) = subnet.guests().next() else { return Ok(Vec::new()) };
        let mut kinds = vec![GuestTraffic::Connections, GuestTraffic::Answers];
        kinds.extend(published.then_some(GuestTraffic::Published));
        let probe = |traffic| Probe::new(traffic, bridge, uplink.as_deref(), guest);
        let probes: Vec<_> = kinds.into_iter().map(probe).collect();
        let mut blocks = Vec::new();
        for base in bases {
            match Self::of(&mut socket, &base, bridge, &probes) {
                Ok(block) => blocks.extend(block),
                // It was changed meanwhile: what it does now is not known.
                Err(error) if error.is(libc::ENOENT) || error.is(libc::EINTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(blocks)
    }

    /// What a chain stops; none when that is nothing.
    fn of(
        socket: &mut NetlinkSocket,
        base: &ForwardChain,
        bridge: &InterfaceName,
        probes: &[Probe],
    ) -> Result<Option<Self>, NetlinkError> {
        let mut listing = Listing::read(socket, base.table.clone())?;
        let mut stops = Vec::new();
        for probe in probes {
            if walk::stops(&mut listing, base, probe)? {
                stops.push(probe.traffic);
            }
        }
        if stops.is_empty() {
            return Ok(None);
        }
        let program = program(&base.table, &base.name, &listing);
        Ok(Some(Self {
            family: base.table.family_name(),
            table: base.table.name.clone(),
            chain: base.name.clone(),
            program,
            remedies: remedies(base, program, bridge, &stops),
            stops,
        }))
    }
}

fn program(table: &TableId, chain: &str, listing: &Listing<'_>) -> ForeignProgram {
    match (table.family_name(), &*table.name, chain) {
        ("ip", "filter", "FORWARD") if listing.leads_to("FORWARD", DOCKER_USER) => {
            ForeignProgram::Docker
        }
        ("ip", "filter", "FORWARD") => ForeignProgram::Iptables,
        ("inet", "firewalld", _) => ForeignProgram::Firewalld,
        _ => ForeignProgram::Other,
    }
}

fn remedies(
    base: &ForwardChain,
    program: ForeignProgram,
    bridge: &InterfaceName,
    stops: &[GuestTraffic],
) -> Vec<String> {
    let mut stops: BTreeSet<GuestTraffic> = stops.iter().copied().collect();
    if stops.contains(&GuestTraffic::Connections) {
        // Whether it lets answers through may not be known, and they are nothing without.
        stops.insert(GuestTraffic::Answers);
    }
    let chain = match program {
        ForeignProgram::Firewalld => {
            return vec![format!("firewall-cmd --zone=trusted --add-interface={bridge}")];
        }
        ForeignProgram::Docker => DOCKER_USER,
        ForeignProgram::Iptables => "FORWARD",
        ForeignProgram::Other => {
            let TableId { name: table, .. } = &base.table;
            let (family, chain) = (base.table.family_name(), &base.name);
            let rule = |traffic: &GuestTraffic| match traffic {
                GuestTraffic::Connections => format!("iifname {bridge} accept"),
                GuestTraffic::Answers => {
                    format!("oifname {bridge} ct state established,related accept")
                }
                GuestTraffic::Published => format!("oifname {bridge} ct status dnat accept"),
            };
            let insert = |it| format!("nft insert rule {family} {table} {chain} {}", rule(it));
            return stops.iter().map(insert).collect();
        }
    };
    let rule = |traffic: &GuestTraffic| match traffic {
        GuestTraffic::Connections => format!("-i {bridge}"),
        GuestTraffic::Answers => {
            format!("-o {bridge} -m conntrack --ctstate RELATED,ESTABLISHED")
        }
        GuestTraffic::Published => format!("-o {bridge} -m conntrack --ctstate DNAT"),
    };
    stops.iter().map(|it| format!("iptables -I {chain} {} -j ACCEPT", rule(it))).collect()
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
        let Self { family, table, chain, program, stops, .. } = self;
        let stops: Vec<_> = stops.iter().map(ToString::to_string).collect();
        write!(f, "the chain {family} {table} {chain} of {program} stops {}", stops.join(", "))
    }
}
