//! The VMs that a manager knows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::micro_vm::{MicroVm, VmSetup};
use crate::smart_vm_error::SmartVmError;
use crate::vm_id::VmId;

/// VMs by id. Holding a VM here keeps it alive.
#[derive(Debug, Default)]
pub(crate) struct Registry(Mutex<BTreeMap<VmId, MicroVm>>);

impl Registry {
    /// Adds what `create` makes under `id`, unless a VM that has not ended has that id.
    pub(crate) fn add(
        &self,
        id: &VmId,
        create: impl FnOnce() -> MicroVm,
    ) -> Result<MicroVm, SmartVmError> {
        let mut vms = self.lock();
        if let Some(existing) = vms.get(id)
            && !existing.has_ended()
        {
            return Err(SmartVmError::Exists { id: id.clone() });
        }
        let vm = create();
        vms.insert(id.clone(), vm.clone());
        Ok(vm)
    }

    pub(crate) fn get(&self, id: &VmId) -> Option<MicroVm> {
        self.lock().get(id).cloned()
    }

    pub(crate) fn all(&self) -> Vec<MicroVm> {
        self.lock().values().cloned().collect()
    }

    /// Forgets the VM with this set-up; another that has taken its id since stays.
    pub(crate) fn forget(&self, id: &VmId, setup: &Arc<VmSetup>) {
        let mut vms = self.lock();
        if vms.get(id).is_some_and(|vm| vm.has_setup(setup)) {
            vms.remove(id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<VmId, MicroVm>> {
        // Nothing panics between two changes of the map.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
