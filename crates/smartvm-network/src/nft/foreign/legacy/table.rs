//! A table as the kernel gives it out, and the chains in it.

use std::collections::BTreeMap;

use super::super::foreign_block::{ForeignBackend, ForeignBlock};
use super::super::guest_way::GuestWay;
use super::super::listing::{ForwardChain, TableId};
use super::super::probe::Probe;
use super::super::verdict::{Effect, Holds};
use super::super::walk::Chains;
use super::entry::Entry;
use crate::netlink::NetlinkError;
use crate::{InterfaceName, Subnet};

/// The chain at the hook.
const FORWARD: &str = "FORWARD";
/// The verdict of a policy that drops: that of `NF_DROP`.
const DROP: i32 = -1;

/// Where the rules for forwarded packets are in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForwardHook {
    /// Where the first rule is.
    pub first: usize,
    /// Where the policy is.
    pub policy: usize,
}

/// A table of iptables-legacy.
#[derive(Debug, Clone)]
pub struct LegacyTable {
    base: ForwardChain,
    entries: Vec<u8>,
    /// Where the rules of each chain are.
    chains: BTreeMap<String, Vec<usize>>,
    /// The chains by where their first rule is.
    begins: BTreeMap<usize, String>,
}

impl LegacyTable {
    /// Reads a table from the entries that the kernel gives out (`IPT_SO_GET_ENTRIES`); none when they are not what
    /// `iptables` makes.
    #[must_use]
    pub fn read(name: &str, hook: ForwardHook, entries: Vec<u8>) -> Option<Self> {
        let mut chains = BTreeMap::from([(FORWARD.to_owned(), Vec::new())]);
        let mut begins = BTreeMap::new();
        let mut drops = None;
        let mut chain: Option<String> = None;
        let mut at = 0;
        while at < entries.len() {
            let entry = Entry::read(&entries[at..])?;
            let next = at + entry.len();
            if at == hook.first {
                chain = Some(FORWARD.to_owned());
            }
            if at == hook.policy {
                drops = Some(entry.verdict()? == DROP);
                chain = None;
            } else if let Some(name) = entry.begins() {
                // The last entry is no chain, but what ends the table.
                let name = (next < entries.len()).then(|| name.to_owned());
                if let Some(name) = &name {
                    if chains.insert(name.clone(), Vec::new()).is_some() {
                        return None;
                    }
                    begins.insert(next, name.clone());
                }
                chain = name;
            } else if let Some(name) = &chain {
                chains.get_mut(name)?.push(at);
            }
            at = next;
        }
        let table = TableId::of_ipv4(name.to_owned());
        let base = ForwardChain { table, name: FORWARD.to_owned(), drops: drops? };
        Some(Self { base, entries, chains, begins })
    }

    /// What of a network's guests it stops; none when that is nothing. `uplink` is the link that they leave by, if that
    /// is known; `published` tells whether ports of the host lead to them.
    #[must_use]
    pub fn block(
        mut self,
        bridge: &InterfaceName,
        subnet: Subnet,
        uplink: Option<&str>,
        published: bool,
    ) -> Option<ForeignBlock> {
        let way = GuestWay::new(bridge, subnet, uplink, published)?;
        let base = self.base.clone();
        // Nothing is asked of the kernel, so that nothing fails.
        way.block(&mut self, &base, ForeignBackend::IptablesLegacy).ok().flatten()
    }

    fn entry(&self, chain: &str, rule: usize) -> Option<(usize, Entry<'_>)> {
        let at = *self.chains.get(chain)?.get(rule)?;
        Some((at, Entry::read(self.entries.get(at..)?)?))
    }

    fn effect(&self, at: usize, entry: Entry<'_>) -> Effect {
        entry.effect(at + entry.len(), |place| self.begins.get(&place).cloned())
    }
}

impl Chains for LegacyTable {
    fn count(&self, chain: &str) -> usize {
        self.chains.get(chain).map_or(0, Vec::len)
    }

    fn judge(
        &mut self,
        chain: &str,
        rule: usize,
        probe: &Probe,
    ) -> Result<(Holds, Effect), NetlinkError> {
        let Some((at, entry)) = self.entry(chain, rule) else {
            return Ok((Holds::No, Effect::Continue));
        };
        Ok((entry.holds(probe), self.effect(at, entry)))
    }

    fn leads_to(&self, chain: &str, other: &str) -> bool {
        let rules = 0..self.count(chain);
        let mut effects = rules.filter_map(|rule| self.entry(chain, rule));
        effects.any(|(at, entry)| match self.effect(at, entry) {
            Effect::Jump(name) | Effect::Goto(name) => name == other,
            _ => false,
        })
    }
}

#[cfg(test)]
mod tests;
