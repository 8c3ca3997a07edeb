//! The host's forwarding of IPv4: on for the links that networks need it of, and then as it was.
//!
//! The kernel asks the link that a packet comes in by whether to forward it. So bridges have it on, and the links
//! that answers come in by; the switch for all (`ip_forward`) is left alone, as it resets settings of each link
//! and makes the host a router for everybody. What comes in by a link that we turned it on for, and is neither for
//! a guest nor an answer, is dropped by rules ([`ForwardingRules`]).
//!
//! A host that forwards already, or that another program makes a router meanwhile, is left as that one wants it.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use smartvm_dir::PrivateDir;

use super::host_state::{HostState, LockedHost};
use super::state_error::StateError;
use crate::link::Links;
use crate::nft::{Family, Nftables, NotInForce, Verified};
use crate::policy::ForwardingRules;
use crate::{InterfaceName, names};

/// Where it is written down.
const FILE: &str = ".forwarding";

/// Of the namespace of the thread that asks.
const SETTINGS: &str = "/proc/sys/net/ipv4/conf";

/// What we changed, and for whom.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Forwarding {
    /// The networks, each by its bridge.
    networks: BTreeSet<InterfaceName>,
    /// Links that did not forward before.
    links: Vec<TurnedOn>,
}

/// A link that did not forward before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TurnedOn {
    /// The kernel's number for it, which stays when it is renamed.
    index: u32,
    /// Its name when it was turned on.
    name: InterfaceName,
    /// The networks that need it.
    networks: BTreeSet<InterfaceName>,
}

/// By which links packets come in that are for guests of a network.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ForwardingNeed<'a> {
    /// The bridge.
    pub(crate) network: &'a InterfaceName,
    /// The only other link; none for each that a route of the host leads out by.
    pub(crate) only: Option<&'a InterfaceName>,
}

/// The sockets to the kernel that it takes.
#[derive(Debug)]
pub(crate) struct ForwardingKernel<'a> {
    pub(crate) links: &'a mut Links,
    pub(crate) nftables: &'a mut Nftables,
}

impl HostState {
    /// Turns forwarding on for a network, noting first what it was, and closing what it would open besides.
    pub(crate) fn need_forwarding(
        &self,
        need: ForwardingNeed<'_>,
        kernel: &mut ForwardingKernel<'_>,
        step: &dyn Fn(&'static str) -> io::Result<()>,
    ) -> Result<(), StateError> {
        let failed = |source| StateError::new("turn on the host's IPv4 forwarding", source);
        let locked = self.lock()?;
        let before = locked.forwarding()?;
        let mut wanted = before.clone().unwrap_or_default();
        wanted.networks.insert(need.network.clone());
        let others_forward = forwards_all().map_err(failed)?;
        if others_forward {
            // Another program wants it so by now. What its links are to be is its own affair.
            wanted.links.retain(|link| wanted.networks.contains(&link.name));
        }
        for (index, name) in links_in(need, others_forward, kernel.links).map_err(failed)? {
            wanted.note(index, name, need.network).map_err(failed)?;
        }
        if before.as_ref() != Some(&wanted) {
            step("write down forwarding").map_err(failed)?;
            locked.write_forwarding(&wanted).map_err(failed)?;
        }
        step("close forwarding for others").map_err(failed)?;
        put_in_force(&wanted, kernel.nftables).map_err(failed)?;
        step("turn on forwarding").map_err(failed)?;
        for link in &wanted.links {
            write(&link.name, true).map_err(failed)?;
        }
        Ok(())
    }

    /// Says that a network needs it no more. A link that none needs it of is as it was, unless somebody else has
    /// changed it meanwhile.
    pub(crate) fn release_forwarding(
        &self,
        network: &InterfaceName,
        kernel: &mut ForwardingKernel<'_>,
    ) -> Result<(), StateError> {
        let failed = |source| StateError::new("restore the host's IPv4 forwarding", source);
        // Whoever needs it has written it down before, and there may be no room for a lock.
        if self.dir().stat(FILE).map_err(failed)?.is_none() {
            return Ok(());
        }
        let locked = self.lock()?;
        let Some(mut left) = locked.forwarding()? else { return Ok(()) };
        left.networks.remove(network);
        left.links.iter_mut().for_each(|link| {
            link.networks.remove(network);
        });
        let (needed, ended): (Vec<_>, Vec<_>) =
            left.links.into_iter().partition(|link| !link.networks.is_empty());
        left.links = needed;
        // Whoever turned it on for all links wants it on.
        if !forwards_all().map_err(failed)? {
            for link in ended {
                let found = kernel.links.with_index(link.index);
                let found = found.map_err(|error| failed(io::Error::other(error)))?;
                if let Some(name) = found.and_then(|link| link.name.parse().ok())
                    && forwards(&name).map_err(failed)? == Some(true)
                {
                    write(&name, false).map_err(failed)?;
                }
            }
        }
        put_in_force(&left, kernel.nftables).map_err(failed)?;
        if left.networks.is_empty() {
            return self.dir().remove_file(FILE).map_err(failed);
        }
        locked.write_forwarding(&left).map_err(failed)
    }

    /// Whether what closes forwarding for others is in the kernel as it was made.
    pub(crate) fn verify_forwarding(&self, nftables: &mut Nftables) -> Result<(), NotInForce> {
        // A record that cannot be read is told of by whoever needs or releases it.
        let Ok(Some(forwarding)) = read(self.dir()) else { return Ok(()) };
        match forwarding.rules() {
            None => Ok(()),
            Some(rules) => nftables.verify(&rules.render(), Verified::Everything),
        }
    }
}

impl LockedHost<'_> {
    fn forwarding(&self) -> Result<Option<Forwarding>, StateError> {
        let failed = |source| StateError::new("read what the host's IPv4 forwarding was", source);
        match read(self.state.dir()) {
            Err(error) if is_damaged(&error) => {
                // What was turned on stays on then, behind the rules that close it for others.
                self.state.set_aside(Path::new(FILE)).map_err(failed)?;
                Ok(None)
            }
            found => found.map_err(failed),
        }
    }

    fn write_forwarding(&self, forwarding: &Forwarding) -> io::Result<()> {
        self.state.dir().write(FILE, &serde_json::to_vec(forwarding)?)
    }
}

impl Forwarding {
    /// Notes that a network needs a link to forward, if it does not by itself.
    fn note(&mut self, index: u32, name: InterfaceName, network: &InterfaceName) -> io::Result<()> {
        let known = self.links.iter_mut().find(|link| link.index == index && link.name == name);
        if let Some(link) = known {
            link.networks.insert(network.clone());
        } else if forwards(&name)? == Some(false) {
            // Another link that had that name, or that number, is gone.
            self.links.retain(|link| link.index != index && link.name != name);
            self.links.push(TurnedOn { index, name, networks: [network.clone()].into() });
        }
        Ok(())
    }

    /// What closes that the host forwards for others; none when it does not for us.
    fn rules(&self) -> Option<ForwardingRules> {
        let names = self.links.iter().map(|link| link.name.clone());
        let opened: BTreeSet<_> = names.filter(|name| !self.networks.contains(name)).collect();
        (!opened.is_empty()).then(|| ForwardingRules { opened, networks: self.networks.clone() })
    }
}

fn put_in_force(forwarding: &Forwarding, nftables: &mut Nftables) -> io::Result<()> {
    match forwarding.rules() {
        Some(rules) => {
            let rules = rules.render();
            if nftables.verify(&rules, Verified::Everything).is_err() {
                nftables.replace(&rules).map_err(io::Error::other)?;
                nftables.verify(&rules, Verified::Everything).map_err(io::Error::other)?;
            }
            Ok(())
        }
        None => nftables.remove(names::HOST_TABLE, &[Family::Inet]).map_err(io::Error::other),
    }
}

/// The links by which packets for guests of a network come in: from them, and from elsewhere.
fn links_in(
    need: ForwardingNeed<'_>,
    others_forward: bool,
    links: &mut Links,
) -> io::Result<Vec<(u32, InterfaceName)>> {
    let all = links.all().map_err(io::Error::other)?;
    let routed = links.routed_links().map_err(io::Error::other)?;
    let is_needed = |name: &InterfaceName, index| match need.only {
        _ if name == need.network => true,
        _ if others_forward || name.as_str() == "lo" => false,
        Some(only) => name == only,
        None => routed.contains(&index),
    };
    let named = all.into_iter().filter_map(|link| Some((link.index, link.name.parse().ok()?)));
    Ok(named.filter(|(index, name)| is_needed(name, *index)).collect())
}

fn setting_path(name: &str) -> PathBuf {
    // A dot in a name is a slash's stand-in in other ways to these settings, not in their path.
    Path::new(SETTINGS).join(name).join("forwarding")
}

/// Whether the host forwards as a router does.
fn forwards_all() -> io::Result<bool> {
    Ok(fs_err::read_to_string(setting_path("all"))?.trim() != "0")
}

/// Whether the host forwards what comes in by a link; none when there is no such link any more.
fn forwards(name: &InterfaceName) -> io::Result<Option<bool>> {
    match fs_err::read_to_string(setting_path(name.as_str())) {
        Ok(text) => Ok(Some(text.trim() != "0")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Turns it on or off, unless it is so or the link is gone.
fn write(name: &InterfaceName, on: bool) -> io::Result<()> {
    if forwards(name)? != Some(!on) {
        return Ok(());
    }
    match fs_err::write(setting_path(name.as_str()), if on { "1" } else { "0" }) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Whether that is what is said of a file which is not what was written.
fn is_damaged(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

fn read(dir: &PrivateDir) -> io::Result<Option<Forwarding>> {
    match dir.read(FILE)? {
        Some(text) => Ok(Some(serde_json::from_slice(&text)?)),
        None => Ok(None),
    }
}
