//! Making the interface of a VM.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use smartvm_dir::ProcessIdentity;

use super::attach_error::{AttachError, MacHolder};
use super::detach::withdraw;
use super::handle::{Kernel, Network};
use crate::link::{BridgePort, make_tap};
use crate::nft::{Change, Family, Verified};
use crate::policy::{EgressPolicy, GuestBounds, PublishedPort};
use crate::state::{GuestRecord, Locked, NetworkRecord};
use crate::{InterfaceName, MacAddress, names};

/// The interface that a VM is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachGuest {
    /// The VM.
    pub vm: String,
    /// Its interface, by a name that is unique within it.
    pub iface: String,
    /// Tells apart VMs of equal ids with different owners, such as the VM's directory.
    pub scope: String,
    /// A file whose lock is held for as long as the owner lives. Who finds it free removes the
    /// interface.
    pub owner: PathBuf,
    /// The owner: while it lives, the interface stays even where somebody has removed the lock. None when
    /// the lock alone tells.
    pub owner_process: Option<ProcessIdentity>,
    /// The user that may open the TAP, besides root.
    pub uid: u32,
    /// The group that may open the TAP.
    pub gid: u32,
    /// The guest's hardware address; by default one that stands for VM and interface.
    pub mac: Option<MacAddress>,
    /// The guest's address; by default the next free one.
    pub address: Option<Ipv4Addr>,
    /// Where it may connect to, of what its network may; by default all of that.
    pub egress: Option<EgressPolicy>,
    /// Ports of the host that lead to it; by default none.
    pub published: Vec<PublishedPort>,
    /// What it may take of the host's tables, of what its network says; by default all of that.
    pub bounds: Option<GuestBounds>,
    /// Whom it is told to ask for names, which it then may wherever they are beyond the host; by default nobody.
    pub resolvers: BTreeSet<Ipv4Addr>,
}

/// The interface of a VM, as it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The host's end.
    pub tap: InterfaceName,
    /// The guest's hardware address.
    pub mac: MacAddress,
    /// The guest's address.
    pub address: Ipv4Addr,
    /// The host's address, which the guest sends through.
    pub gateway: Ipv4Addr,
    /// The mask of both.
    pub mask: Ipv4Addr,
}

impl Attachment {
    /// What tells the guest's kernel, or our init, of its address: `ip=GUEST::GATEWAY:MASK::IFACE:off`,
    /// with the addresses of up to two resolvers after it.
    #[must_use]
    pub fn boot_argument(&self, guest_iface: &str, dns: &[Ipv4Addr]) -> String {
        let Self { address, gateway, mask, .. } = self;
        let mut argument = format!("ip={address}::{gateway}:{mask}::{guest_iface}:off");
        for dns in dns.iter().take(2) {
            argument.push_str(&format!(":{dns}"));
        }
        argument
    }
}

impl Network {
    /// Makes the interface of a VM: address, rules, TAP, in this order; the TAP is up only once the
    /// rules know it. A guest that speaks before they do is not heard.
    ///
    /// # Errors
    /// `WIREGUARD_SETUP_FAILED`, `IP_EXHAUSTED`, `IP_IN_USE`, `MAC_IN_USE`, `PORT_IN_USE`, `INTERFACE_EXISTS`, and what the kernel refuses.
    /// What was made is then gone again.
    pub fn attach(&self, guest: &AttachGuest) -> Result<Attachment, AttachError> {
        let mut kernel = self.kernel();
        let locked = self.state.lock()?;
        let tap = names::tap(&self.bridge, &guest.scope, &guest.vm, &guest.iface);
        if locked.state().guest(&tap)?.is_some() {
            let (vm, iface) = (guest.vm.clone(), guest.iface.clone());
            return Err(AttachError::Exists { vm, iface, tap });
        }
        let no_bridge = || AttachError::NoBridge { bridge: self.bridge.clone() };
        let network = locked.state().record()?.ok_or_else(no_bridge)?;
        if let Some(wireguard) = &self.wireguard {
            // It may have gone since the network was made.
            super::open::ensure_wireguard(&network, wireguard, &self.on_step)?;
            super::open::need_forwarding(&network, &self.host, &mut kernel, &self.on_step)?;
        }
        let default_mac = || names::mac(&self.bridge, &guest.scope, &guest.vm, &guest.iface);
        let mac = guest.mac.unwrap_or_else(default_mac);
        if guest.mac.is_some()
            && let Some(holder) = self.holder_of(mac, &tap, &locked)?
        {
            return Err(AttachError::MacInUse { mac, holder });
        }
        self.attach_step(guest, "lease address")?;
        let address = locked.lease(self.subnet, &tap, guest.address)?;
        let mut record = GuestRecord {
            schema_version: 1,
            vm: guest.vm.clone(),
            iface: guest.iface.clone(),
            tap: tap.clone(),
            mac,
            address,
            egress: guest.egress.clone(),
            // Written down once it has them: until then they may be another's.
            published: Vec::new(),
            bounds: guest.bounds.map(|own| own.and(network.bounds)),
            resolvers: guest.resolvers.clone(),
            owner: guest.owner.clone(),
            owner_process: guest.owner_process.clone(),
        };
        let made = self.make(guest, &mut record, &network, &locked, &mut kernel);
        if let Err(error) = made {
            // The first error is the one to report.
            if let Err(error) = withdraw(&self.host, &locked, &mut kernel, &record) {
                tracing::warn!(%error, %tap, "cannot undo what was made of an interface");
            }
            return Err(error);
        }
        let (gateway, mask) = (self.subnet.gateway(), self.subnet.mask());
        Ok(Attachment { tap, mac: record.mac, address, gateway, mask })
    }

    fn make(
        &self,
        guest: &AttachGuest,
        record: &mut GuestRecord,
        network: &NetworkRecord,
        locked: &Locked<'_>,
        kernel: &mut Kernel,
    ) -> Result<(), AttachError> {
        self.attach_step(guest, "write the record")?;
        locked.write_guest(record)?;
        if !guest.published.is_empty() {
            self.attach_step(guest, "publish ports")?;
            self.host.take_ports(&self.bridge, &record.tap, &guest.published)?;
            record.published.clone_from(&guest.published);
            self.attach_step(guest, "write the ports")?;
            locked.write_guest(record)?;
        }
        let tap = &record.tap;
        self.attach_step(guest, "put rules in force")?;
        self.admit(record, network, locked, kernel)?;
        self.attach_step(guest, "make tap")?;
        make_tap(tap, guest.uid, guest.gid)?;
        self.attach_step(guest, "put tap on bridge")?;
        let alias = names::alias(&self.bridge, &record.vm, &record.iface);
        let group = names::link_group(&self.bridge);
        let port = BridgePort {
            bridge: self.bridge_index,
            group,
            alias: &alias,
            mac: names::port_mac(&self.bridge),
            mtu: network.mtu,
        };
        if let Err(error) = kernel.links.join(tap, &port) {
            // Somebody has removed the bridge, or made another in its place.
            let bridge = kernel.links.find(&self.bridge)?;
            let no_bridge = || AttachError::NoBridge { bridge: self.bridge.clone() };
            let index = bridge.ok_or_else(no_bridge)?.index;
            if index == self.bridge_index {
                return Err(error.into());
            }
            kernel.links.join(tap, &BridgePort { bridge: index, ..port })?;
        }
        self.attach_step(guest, "pin hardware address")?;
        match kernel.links.pin(tap, record.mac) {
            // The bridge knows all: guests of other processes, itself, and whom it has learnt of.
            Err(error) if error.is(libc::EEXIST) => {
                let holder = self.holder_of(record.mac, tap, locked)?;
                let holder = holder.unwrap_or(MacHolder::OnBridge);
                return Err(AttachError::MacInUse { mac: record.mac, holder });
            }
            done => done?,
        }
        self.attach_step(guest, "bring up tap")?;
        kernel.links.open_port(tap, !network.isolation.vm_to_vm)?;
        self.attach_step(guest, "hand over tap")
    }

    /// Who of those that are written down has a hardware address, but for the guest behind a TAP.
    fn holder_of(
        &self,
        mac: MacAddress,
        but: &InterfaceName,
        locked: &Locked<'_>,
    ) -> Result<Option<MacHolder>, AttachError> {
        if [names::bridge_mac(&self.bridge), names::port_mac(&self.bridge)].contains(&mac) {
            return Ok(Some(MacHolder::Host));
        }
        let mut guests = locked.state().guests()?.into_iter();
        let holder = guests.find(|other| other.mac == mac && other.tap != *but);
        Ok(holder.map(|GuestRecord { vm, tap, .. }| MacHolder::Vm { vm, tap }))
    }

    /// Lets the rules know a guest. Where they are not as they should be, as after another program
    /// has removed all rules, they are put back whole.
    fn admit(
        &self,
        record: &GuestRecord,
        network: &NetworkRecord,
        locked: &Locked<'_>,
        kernel: &mut Kernel,
    ) -> Result<(), AttachError> {
        let table = names::table(&self.bridge);
        let rules = record.rules();
        let add =
            || rules.elements().into_iter().map(|(family, set, it)| Change::Add(family, set, it));
        let changes: Vec<_> = add().collect();
        let mut done = kernel.nftables.change(&table, &changes);
        if done.as_ref().is_err_and(|error| error.is(libc::ENOENT)) {
            // The first guest with this policy, or with these bounds: what there is of them stays.
            for chain in rules.own_chains() {
                let made = kernel.nftables.change(&table, &[Change::NewChain(Family::Inet, chain)]);
                if made.is_err_and(|error| !error.is(libc::EEXIST)) {
                    break;
                }
            }
            done = kernel.nftables.change(&table, &changes);
        }
        if let Err(error) = done {
            tracing::warn!(%error, network = %self.bridge, "putting the rules back");
            let guests = locked.state().guests()?;
            let all = super::reload::ruleset(network, &guests, &mut kernel.links)?;
            kernel.nftables.replace(&all)?;
            kernel.nftables.verify(&all, Verified::Everything)?;
            super::open::need_forwarding(network, &self.host, kernel, &self.on_step)?;
        }
        Ok(())
    }

    fn attach_step(&self, guest: &AttachGuest, step: &'static str) -> Result<(), AttachError> {
        self.on_step.reach(step).map_err(|source| AttachError::Step {
            vm: guest.vm.clone(),
            step,
            source,
        })
    }
}
