//! What there is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::damage::NetworkDamage;
use super::handle::Kernel;
use super::open_error::OpenNetworkError;
use super::reload::ruleset;
use crate::InterfaceName;
use crate::netlink::NetlinkError;
use crate::nft::{Family, FlowRange, ForeignBlock, Match, Rule, RuleCounter, Verified};
use crate::policy::{EgressPolicy, GuestBounds, GuestRules, groups};
use crate::state::{GuestRecord, HostState, NetworkRecord, NetworkState, owner_lives};
use crate::wireguard::WireGuardReport;

/// A network, as it was at one moment.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkReport {
    /// What it should be.
    #[serde(flatten)]
    pub network: NetworkRecord,
    /// Its guests.
    pub guests: Vec<GuestRecord>,
    /// TAPs of guests whose owner has died: a sweep removes them.
    pub ownerless: Vec<InterfaceName>,
    /// Whether all rules are in the kernel as they were made; if not, what is wrong.
    pub rules_in_force: bool,
    /// What is wrong with them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules_problem: Option<String>,
    /// Whether the bridge exists and is up.
    pub bridge_up: bool,
    /// What others have done to its links, addresses and routes; empty when all is as it was made.
    pub damage: Vec<NetworkDamage>,
    /// Its way out through WireGuard, as far as there is one now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wireguard_state: Option<WireGuardReport>,
    /// Chains of other programs that stop what the rules let through; empty when none is known to.
    pub foreign_blocks: Vec<ForeignBlock>,
    /// Rules that have refused something, or let it in, by where they stand.
    pub refused: Vec<RefusedReport>,
}

/// A rule that refuses, and what it has refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusedReport {
    /// The rule, as `nft` writes it.
    pub rule: String,
    /// Its chain.
    pub chain: String,
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// The policies that a guest's connections go through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyReport {
    /// The guest's own, which is asked first; guests with the same one share the counters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own: Option<Vec<RuleReport>>,
    /// The network's.
    pub network: Vec<RuleReport>,
    /// What the guest may take of the host's tables.
    pub bounds: BoundsReport,
}

/// Bounds of a guest, and what was refused for them; guests with the same bounds share the counters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BoundsReport {
    /// The bounds.
    #[serde(flatten)]
    pub bounds: GuestBounds,
    /// Packets that would have begun a connection too soon.
    pub refused_new: u64,
    /// Packets that would have begun one too many.
    pub refused_open: u64,
}

/// A rule of a policy, and what it has decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleReport {
    /// The rule; absent for what happens to what no rule matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<crate::policy::EgressRule>,
    /// What happens.
    pub action: crate::policy::Action,
    /// New connections' packets.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl NetworkReport {
    /// The files that say what exists and cannot be read, those that were set aside included. What they are about is
    /// closed.
    ///
    /// # Errors
    /// When it cannot be read what exists.
    pub fn damaged(state_dir: &Path) -> Result<Vec<PathBuf>, OpenNetworkError> {
        match HostState::existing(state_dir)? {
            Some(host) => Ok(host.damaged()?),
            None => Ok(Vec::new()),
        }
    }

    /// All networks of the host whose records can be [read](Self::damaged). Nothing is changed.
    ///
    /// # Errors
    /// When it cannot be read what exists, or the kernel cannot be asked.
    pub fn all(state_dir: &Path) -> Result<Vec<Self>, OpenNetworkError> {
        let Some(host) = HostState::existing(state_dir)? else { return Ok(Vec::new()) };
        let mut reports = Vec::new();
        for network in host.networks()? {
            let state = NetworkState::new(&host, &network);
            // One that cannot be read keeps nobody from seeing the others.
            if let Some(record) = state.whole_record()? {
                reports.push(Self::of(&host, record, state.guests()?)?);
            }
        }
        Ok(reports)
    }

    fn of(
        host: &HostState,
        network: NetworkRecord,
        guests: Vec<GuestRecord>,
    ) -> Result<Self, OpenNetworkError> {
        let mut kernel = Kernel::open()?;
        let rules = ruleset(&network, &guests, &mut kernel.links)?;
        let in_force = kernel.nftables.verify(&rules, Verified::Everything);
        let problem = in_force.and_then(|()| host.verify_forwarding(&mut kernel.nftables)).err();
        let mut refused = Vec::new();
        if problem.is_none() {
            for table in &rules.tables {
                for counter in kernel.nftables.counters(table)? {
                    let chain = table.chains.iter().find(|chain| chain.name == counter.chain);
                    let rule = chain.and_then(|chain| chain.rules.get(counter.index));
                    if let Some(rule) = rule.filter(|_| !counter.chain.starts_with("egress")) {
                        refused.push(RefusedReport {
                            rule: counted(rule, counter.flow),
                            chain: counter.chain,
                            packets: counter.packets,
                            bytes: counter.bytes,
                        });
                    }
                }
            }
        }
        let bridge_up = kernel.links.find(&network.bridge)?.is_some_and(|link| link.up);
        let mut damage = NetworkDamage::find(&network, &guests, &mut kernel.links)?;
        if !damage.is_empty() {
            // With the lock nobody is just making a guest's link.
            let state = NetworkState::new(host, &network.bridge);
            let _locked = state.lock_existing()?;
            damage = NetworkDamage::find(&network, &state.guests()?, &mut kernel.links)?;
        }
        let wireguard = network.wireguard.as_ref();
        let wireguard_state = wireguard.map(|_| network.wireguard_egress().report()).transpose()?;
        let wireguard_state = wireguard_state.flatten();
        let foreign_blocks = foreign_blocks(&network, &guests)?;
        let is_ownerless = |guest: &&GuestRecord| !owner_lives(guest).unwrap_or(true);
        let ownerless = guests.iter().filter(is_ownerless).map(|guest| guest.tap.clone());
        Ok(Self {
            ownerless: ownerless.collect(),
            rules_in_force: problem.is_none(),
            rules_problem: problem.map(|error| error.to_string()),
            bridge_up,
            damage,
            wireguard_state,
            foreign_blocks,
            refused,
            guests,
            network,
        })
    }

    /// The policies of a guest of the network, with what their rules have counted.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn policies(&self, guest: &GuestRecord) -> Result<PolicyReport, OpenNetworkError> {
        let mut kernel = Kernel::open()?;
        let rules = ruleset(&self.network, &self.guests, &mut kernel.links)?;
        let packets = rules.tables.iter().find(|table| table.family == Family::Inet);
        let mut counters = Vec::new();
        if let Some(table) = packets {
            counters = kernel.nftables.counters(table)?;
        }
        let own = guest.egress.as_ref();
        Ok(PolicyReport {
            own: own.map(|policy| rule_reports(policy, &GuestRules::chain_name(policy), &counters)),
            network: rule_reports(&self.network.egress, "egress", &counters),
            bounds: bounds_report(&self.network, guest, &counters),
        })
    }
}

fn bounds_report(
    network: &NetworkRecord,
    guest: &GuestRecord,
    counters: &[RuleCounter],
) -> BoundsReport {
    let bounds = guest.bounds.unwrap_or(network.bounds);
    let [new, open] =
        guest.bounds.map_or_else(GuestBounds::network_chain_names, GuestBounds::chain_names);
    let dropped = |chain: &str| {
        let of_chain = counters.iter().filter(|it| it.chain == chain);
        of_chain.map(|it| it.packets).sum()
    };
    BoundsReport { bounds, refused_new: dropped(&new), refused_open: dropped(&open) }
}

/// The rule, or that of its flows which a counter is of.
fn counted(rule: &Rule, flow: Option<FlowRange>) -> String {
    let Some(flow) = flow else { return rule.to_string() };
    let mut one = rule.clone();
    if let Some(Match::Flows(flows)) = one.matches.last_mut() {
        *flows = vec![flow];
    }
    one.to_string()
}

/// What of other programs stops guests of a network.
pub(super) fn foreign_blocks(
    network: &NetworkRecord,
    guests: &[GuestRecord],
) -> Result<Vec<ForeignBlock>, NetlinkError> {
    let uplink = network.wireguard.as_ref().map(|wireguard| &wireguard.interface);
    let uplink = uplink.or(network.only_out_of.as_ref());
    let published = guests.iter().any(|guest| !guest.published.is_empty());
    ForeignBlock::find(&network.bridge, network.subnet, uplink, published)
}

fn rule_reports(policy: &EgressPolicy, chain: &str, counters: &[RuleCounter]) -> Vec<RuleReport> {
    let counters: BTreeMap<_, _> = counters
        .iter()
        .filter(|it| it.chain == chain)
        .map(|it| ((it.index, it.flow), (it.packets, it.bytes)))
        .collect();
    let counted = |index, flow| counters.get(&(index, flow)).copied().unwrap_or((0, 0));
    let groups = groups(&policy.rules);
    let mut reports = BTreeMap::new();
    for (index, group) in groups.iter().enumerate() {
        for (flow, place) in group.flows() {
            let (packets, bytes) = counted(index, Some(flow).filter(|_| !group.is_one()));
            let rule = &policy.rules[place];
            let report =
                RuleReport { rule: Some(rule.clone()), action: rule.action, packets, bytes };
            reports.insert(place, report);
        }
    }
    let (packets, bytes) = counted(groups.len(), None);
    // Where nothing is said, what is near the host is refused later, and counted there.
    let action = policy.default_action.unwrap_or_default();
    let rest = RuleReport { rule: None, action, packets, bytes };
    reports.into_values().chain([rest]).collect()
}
