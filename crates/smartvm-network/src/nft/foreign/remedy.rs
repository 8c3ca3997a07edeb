//! The commands that let guests through a firewall of another program.

use std::collections::BTreeSet;

use super::foreign_block::{DOCKER_USER, ForeignBackend, ForeignProgram};
use super::listing::{ForwardChain, TableId};
use super::probe::GuestTraffic;
use crate::InterfaceName;

pub(super) fn remedies(
    base: &ForwardChain,
    program: ForeignProgram,
    backend: ForeignBackend,
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
    let iptables = match (backend, &*base.table.name) {
        (ForeignBackend::Nftables, _) => "iptables".to_owned(),
        (ForeignBackend::IptablesLegacy, "filter") => "iptables-legacy".to_owned(),
        (ForeignBackend::IptablesLegacy, table) => format!("iptables-legacy -t {table}"),
    };
    stops.iter().map(|it| format!("{iptables} -I {chain} {} -j ACCEPT", rule(it))).collect()
}
