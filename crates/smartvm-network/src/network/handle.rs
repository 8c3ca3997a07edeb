//! A network in use.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::open_error::OpenNetworkError;
use super::options::NetworkOptions;
use super::step::StepHook;
use super::watch::Watch;
use crate::conntrack::Connections;
use crate::link::Links;
use crate::netlink::NetlinkError;
use crate::nft::Nftables;
use crate::state::{ForwardingKernel, HostState, InUse, NetworkState};
use crate::wireguard::WireGuardWay;
use crate::{InterfaceName, Subnet};

/// A network of the host that this process uses. Others may use it as well.
///
/// The calls block, each for less than a millisecond unless it removes a link, for which the kernel
/// takes some 16 ms. They act in the network namespace of the thread that opened the network, but
/// for `/proc/sys`, where the calling thread's counts.
///
/// # Dropping
/// Leaves the network as it is, with its guests. [`close`](Self::close) takes it down when nobody
/// uses it any more; so does the next sweep.
#[derive(Debug)]
pub struct Network {
    /// Held, not read. It is the first to go: it uses the network as well.
    pub(super) watch: Option<Watch>,
    pub(super) bridge: InterfaceName,
    /// The kernel's number for it when the network was opened.
    pub(super) bridge_index: u32,
    pub(super) subnet: Subnet,
    pub(super) host: HostState,
    pub(super) state: NetworkState,
    pub(super) on_step: StepHook,
    pub(super) wireguard: Option<WireGuardWay>,
    pub(super) kernel: Mutex<Kernel>,
    /// Held, not read: keeps the network from being taken down.
    pub(super) in_use: InUse,
}

/// The sockets to the kernel.
#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) links: Links,
    pub(super) nftables: Nftables,
    pub(super) connections: Option<Connections>,
}

impl Kernel {
    pub(super) fn open() -> Result<Self, NetlinkError> {
        Ok(Self { links: Links::open()?, nftables: Nftables::open()?, connections: None })
    }

    pub(super) fn for_forwarding(&mut self) -> ForwardingKernel<'_> {
        ForwardingKernel { links: &mut self.links, nftables: &mut self.nftables }
    }

    /// Opened when it is first needed, which many a VM never does.
    pub(super) fn connections(&mut self) -> Result<&mut Connections, NetlinkError> {
        match &mut self.connections {
            Some(connections) => Ok(connections),
            none => Ok(none.insert(Connections::open()?)),
        }
    }
}

impl Network {
    /// Makes the network, or joins it where it exists already.
    ///
    /// The rules are in force before the bridge is up, and the host forwards only then.
    ///
    /// # Errors
    /// `SUBNET_IN_USE` when a route of the host meets the subnet, `BRIDGE_UNUSABLE` when the bridge
    /// is somebody else's and has not the gateway's address, `NETWORK_DIFFERS` when VMs use the
    /// network with other settings, `WIREGUARD_SETUP_FAILED`, and what the kernel refuses. What was made is then gone again.
    pub fn open(options: &NetworkOptions) -> Result<Self, OpenNetworkError> {
        super::open::open(options)
    }

    /// Uses a network that exists, as it is, and does not watch it; none when there is none of that name.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn existing(
        state_dir: &Path,
        name: &InterfaceName,
    ) -> Result<Option<Self>, OpenNetworkError> {
        let Some(host) = HostState::existing(state_dir)? else { return Ok(None) };
        let Some(record) = NetworkState::new(&host, name).record()? else { return Ok(None) };
        Self::open(&NetworkOptions::of(record, state_dir)).map(Some)
    }

    /// The name of the bridge, by which the network goes.
    #[must_use]
    pub const fn name(&self) -> &InterfaceName {
        &self.bridge
    }

    /// Its addresses.
    #[must_use]
    pub const fn subnet(&self) -> Subnet {
        self.subnet
    }

    pub(super) fn kernel(&self) -> MutexGuard<'_, Kernel> {
        // Nothing is half done in it: each request is whole.
        self.kernel.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
