//! Where a running guest may connect to.

use smartvm_network::policy::{EgressPolicy, FirewallConfig};
use smartvm_network::{ChangePolicyError, Network};

use super::handle::MicroVm;
use crate::lifecycle::{Call, LiveCall, admit};
use crate::network::InterfaceRecord;
use crate::smart_vm_error::SmartVmError;

impl MicroVm {
    /// Changes where the guest may connect to by a network device that was made for it, of what the manager's
    /// firewall allows; none allows all of that. Connections that are not allowed any more are cut; returns how
    /// many were.
    ///
    /// Holds until it is changed again or the VM ends; [`spec`](Self::spec) goes on telling what it began with.
    ///
    /// # Errors
    /// `INVALID_FIREWALL_CONFIG`; `NO_SUCH_DEVICE` when there is none of that name or it is on a TAP of the
    /// caller; else as all [live changes](Self#live-changes). What the kernel refuses leaves the old one in force.
    pub async fn set_firewall(
        &self,
        iface_id: &str,
        firewall: Option<&FirewallConfig>,
    ) -> Result<usize, SmartVmError> {
        let audited = self.audited(Call::Live(LiveCall::SetFirewall), None);
        let changed = self.change_firewall(iface_id, firewall).await;
        audited.done(changed.as_ref().err().map(SmartVmError::code));
        changed
    }

    async fn change_firewall(
        &self,
        iface_id: &str,
        firewall: Option<&FirewallConfig>,
    ) -> Result<usize, SmartVmError> {
        let policy = firewall.map(FirewallConfig::to_policy).transpose()?;
        admit(self.state(), Call::Live(LiveCall::SetFirewall))?;
        let mut devices = self.spec().config().network_interfaces.iter();
        if !devices.any(|it| it.is_managed() && it.iface_id == iface_id) {
            return Err(SmartVmError::NoSuchDevice { id: iface_id.to_owned() });
        }
        let (vm, iface) = (self.clone(), iface_id.to_owned());
        // Some milliseconds of waiting for the kernel and for a lock.
        let changing = tokio::task::spawn_blocking(move || vm.change_policy(&iface, policy));
        changing.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    fn change_policy(
        &self,
        iface: &str,
        policy: Option<EgressPolicy>,
    ) -> Result<usize, SmartVmError> {
        let InterfaceRecord { state_dir, network: bridge, tap } =
            InterfaceRecord::new(self.options(), &self.runtime_dir(), self.id(), iface);
        let failed = |source: ChangePolicyError| SmartVmError::SetFirewall {
            id: self.id().clone(),
            iface: iface.to_owned(),
            source: Box::new(source),
        };
        let network = Network::existing(&state_dir, &bridge)?;
        let gone = || ChangePolicyError::NoGuest { network: bridge.clone(), tap: tap.clone() };
        let network = network.ok_or_else(|| failed(gone()))?;
        network.set_guest_policy(&tap, policy).map_err(failed)
    }
}
