//! What any program must ask the kernel for.

use anyhow::Context;
use smartvm_network::link::{BridgePort, Links, make_tap};
use smartvm_network::nft::{Change, Element, Family, Nftables};
use smartvm_network::{InterfaceName, names};

/// The least that the kernel needs: make a TAP, put it on the bridge, bring it up, one element.
pub(super) struct Floor {
    pub(super) links: Links,
    nftables: Nftables,
    bridge: u32,
}

impl Floor {
    pub(super) fn open(bridge: &InterfaceName) -> anyhow::Result<Self> {
        let mut links = Links::open()?;
        links.make_bridge(bridge, names::bridge_mac(bridge), None, "floor")?;
        links.set_up(bridge, true)?;
        let index = links.find(bridge)?.context("the bridge was made")?.index;
        let mut nftables = Nftables::open()?;
        let rules = smartvm_network::policy::NetworkRules {
            network: bridge.clone(),
            subnet: smartvm_network::Subnet::default(),
            isolation: smartvm_network::policy::Isolation::default(),
            egress: smartvm_network::policy::EgressPolicy::default(),
            only_out_of: None,
            bounds: Default::default(),
            tunnel: None,
            neighbourhood: smartvm_network::policy::Neighbourhood::default(),
        };
        nftables.replace(&rules.render(&[]))?;
        Ok(Self { links, nftables, bridge: index })
    }

    pub(super) fn make(&mut self, tap: &InterfaceName) -> anyhow::Result<()> {
        make_tap(tap, 1000, 1000)?;
        let group = names::link_group(&InterfaceName::default_bridge());
        let mac = names::port_mac(&InterfaceName::default_bridge());
        let (bridge, alias) = (self.bridge, "floor");
        self.links.join(tap, &BridgePort { bridge, group, alias, mac, mtu: None })?;
        self.links.open_port(tap, true)?;
        Ok(self.nftables.change(
            "smartvm-svbr0",
            &[Change::Add(Family::Bridge, "guests", Self::element(tap)?)],
        )?)
    }

    pub(super) fn remove(&mut self, tap: &InterfaceName) -> anyhow::Result<()> {
        self.links.remove(tap)?;
        Ok(self.nftables.change(
            "smartvm-svbr0",
            &[Change::Remove(Family::Bridge, "guests", Self::element(tap)?)],
        )?)
    }

    /// Each link's own, as sets refuse what they have.
    fn element(tap: &InterfaceName) -> anyhow::Result<Vec<Element>> {
        let mac = names::mac(tap, "", "", "");
        Ok(vec![Element::guest(tap, mac, [172, 30, 0, 2].into())])
    }
}
