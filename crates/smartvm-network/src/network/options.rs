//! What a network is to be.

use std::path::{Path, PathBuf};

use super::step::StepHook;
use crate::policy::{EgressPolicy, GuestBounds, Isolation};
use crate::state::NetworkRecord;
use crate::wireguard::WireGuardWay;
use crate::{InterfaceName, Subnet};

/// What a network is to be. The default is closed, but for connections to public addresses beyond the host.
#[derive(Debug, Clone)]
pub struct NetworkOptions {
    /// The bridge, by default `svbr0`. One that exists is used as it is.
    pub bridge: InterfaceName,
    /// The addresses of guests and, the first, of the host; by default `172.30.0.0/24`.
    pub subnet: Subnet,
    /// What is opened; by default nothing.
    pub isolation: Isolation,
    /// Where guests may connect to; by default to every public address that isolation leaves open.
    pub egress: EgressPolicy,
    /// The only link by which guests' packets may leave the host; by default any.
    pub only_out_of: Option<InterfaceName>,
    /// The WireGuard interface that all that leaves the subnet goes through; by default none. One that
    /// fails closed is the only link by which guests' packets may leave.
    pub wireguard: Option<WireGuardWay>,
    /// The largest packet on bridge and TAPs, in bytes; by default the kernel's choice, 1500.
    pub mtu: Option<u32>,
    /// What each guest may take of the host's tables; one of a guest's own can only be tighter.
    pub bounds: GuestBounds,
    /// Where it is written down what exists; by default `/run/smartvm/net`, for the whole host.
    pub state_dir: PathBuf,
    /// Whether this process puts the rules back when another program removes them, and has them follow the host's
    /// networks, for as long as it uses the network; by default it does, by a thread that waits.
    pub watch: bool,
    /// Is told of each step; by default nobody.
    pub on_step: StepHook,
}

impl NetworkOptions {
    /// Where it is written down what exists, for the whole host; forgotten at its restart, as
    /// everything else that is made is.
    pub const STATE_DIR: &str = "/run/smartvm/net";

    /// What a network that exists was to be.
    pub(super) fn of(record: NetworkRecord, state_dir: &Path) -> Self {
        Self {
            bridge: record.bridge,
            subnet: record.subnet,
            isolation: record.isolation,
            egress: record.egress,
            only_out_of: record.only_out_of,
            wireguard: record.wireguard.map(WireGuardWay::Recorded),
            mtu: record.mtu,
            bounds: record.bounds,
            state_dir: state_dir.to_owned(),
            // It is used for a moment.
            watch: false,
            on_step: StepHook::default(),
        }
    }

    pub(super) fn record(&self, bridge_is_ours: bool) -> NetworkRecord {
        let wireguard = self.wireguard.as_ref().and_then(WireGuardWay::record);
        let closed = wireguard.as_ref().filter(|wireguard| wireguard.fail_closed);
        let only_out_of = closed.map(|wireguard| wireguard.interface.clone());
        NetworkRecord {
            schema_version: 1,
            bridge: self.bridge.clone(),
            subnet: self.subnet,
            isolation: self.isolation.clone(),
            egress: self.egress.clone(),
            only_out_of: only_out_of.or_else(|| self.only_out_of.clone()),
            wireguard,
            mtu: self.mtu,
            bounds: self.bounds,
            bridge_is_ours,
        }
    }
}

impl Default for NetworkOptions {
    fn default() -> Self {
        Self {
            bridge: InterfaceName::default_bridge(),
            subnet: Subnet::default(),
            isolation: Isolation::default(),
            egress: EgressPolicy::default(),
            only_out_of: None,
            wireguard: None,
            mtu: None,
            bounds: GuestBounds::default(),
            state_dir: Self::STATE_DIR.into(),
            watch: true,
            on_step: StepHook::default(),
        }
    }
}
