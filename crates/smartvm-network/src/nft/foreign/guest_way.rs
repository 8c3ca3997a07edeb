//! What guests of a network send and get, and what a chain does to it.

use super::foreign_block::{DOCKER_USER, ForeignBackend, ForeignBlock, ForeignProgram};
use super::listing::ForwardChain;
use super::probe::{GuestTraffic, Probe};
use super::remedy::remedies;
use super::walk::{self, Chains};
use crate::netlink::NetlinkError;
use crate::{InterfaceName, Subnet};

/// Packets of each kind that guests of a network depend on.
#[derive(Debug)]
pub(super) struct GuestWay<'a> {
    bridge: &'a InterfaceName,
    probes: Vec<Probe>,
}

impl<'a> GuestWay<'a> {
    /// Those of guests that leave by `uplink`, if that is known; none when the subnet has no guests.
    pub(super) fn new(
        bridge: &'a InterfaceName,
        subnet: Subnet,
        uplink: Option<&str>,
        published: bool,
    ) -> Option<Self> {
        let guest = subnet.guests().next()?;
        let mut kinds = vec![GuestTraffic::Connections, GuestTraffic::Answers];
        kinds.extend(published.then_some(GuestTraffic::Published));
        let probes = |traffic| Probe::all(traffic, bridge, uplink, guest);
        Some(Self { bridge, probes: kinds.into_iter().flat_map(probes).collect() })
    }

    /// What a chain stops of it; none when that is nothing.
    pub(super) fn block(
        &self,
        chains: &mut impl Chains,
        base: &ForwardChain,
        backend: ForeignBackend,
    ) -> Result<Option<ForeignBlock>, NetlinkError> {
        let mut stops = Vec::new();
        for probe in &self.probes {
            if !stops.contains(&probe.traffic) && walk::stops(chains, base, probe)? {
                stops.push(probe.traffic);
            }
        }
        if stops.is_empty() {
            return Ok(None);
        }
        let program = program(base, backend, chains);
        Ok(Some(ForeignBlock {
            family: base.table.family_name(),
            table: base.table.name.clone(),
            chain: base.name.clone(),
            backend,
            program,
            remedies: remedies(base, program, backend, self.bridge, &stops),
            stops,
        }))
    }
}

fn program(base: &ForwardChain, backend: ForeignBackend, chains: &impl Chains) -> ForeignProgram {
    match (base.table.family_name(), &*base.table.name, &*base.name) {
        ("ip", "filter", "FORWARD") if chains.leads_to("FORWARD", DOCKER_USER) => {
            ForeignProgram::Docker
        }
        ("ip", "filter", "FORWARD") => ForeignProgram::Iptables,
        ("inet", "firewalld", _) => ForeignProgram::Firewalld,
        _ if backend == ForeignBackend::IptablesLegacy => ForeignProgram::Iptables,
        _ => ForeignProgram::Other,
    }
}
