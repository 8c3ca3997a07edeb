//! The memory of a started VM: the balloon and what can be plugged.

use smartvm_firecracker::api::{
    Balloon, BalloonHintingStatus, BalloonStartCmd, BalloonStats, BalloonStatsUpdate,
    BalloonUpdate, MemoryHotplugSizeUpdate, MemoryHotplugStatus,
};

use super::handle::MicroVm;
use super::update::Update;
use crate::config::Breaches;
use crate::smart_vm_error::SmartVmError;

/// # Memory
/// The balloon needs the `balloon` section of the configuration, plugging the `memoryHotplug` one.
impl MicroVm {
    /// The balloon as it is set; the guest may be on its way there.
    ///
    /// # Errors
    /// `NO_CLIENT` before a start and after the end, `API_REFUSED` when the VM has none.
    pub async fn balloon(&self) -> Result<Balloon, SmartVmError> {
        self.ask_firecracker("balloon", |client| async move { client.get_balloon().await }).await
    }

    /// Takes another amount of memory from the guest, in MiB.
    ///
    /// # Errors
    /// As all [live changes](Self#live-changes).
    pub async fn update_balloon(&self, amount_mib: u32) -> Result<(), SmartVmError> {
        let mut breaches = Breaches::default();
        breaches.require(
            u64::from(amount_mib) <= self.spec().config().machine_config.mem_size_mib,
            "amountMib",
            "must be <= machineConfig.memSizeMib",
        );
        breaches.into_result()?;
        self.update(Update::Balloon(BalloonUpdate { amount_mib })).await
    }

    /// What the guest last reported on its memory.
    ///
    /// # Errors
    /// `NO_CLIENT` before a start and after the end, `API_REFUSED` when the VM has no balloon or its
    /// `statsPollingIntervalS` is 0.
    pub async fn balloon_statistics(&self) -> Result<BalloonStats, SmartVmError> {
        self.ask_firecracker("balloon_statistics", |client| async move {
            client.get_balloon_statistics().await
        })
        .await
    }

    /// Has the guest report every so many seconds. Reports cannot be switched on or off.
    ///
    /// # Errors
    /// As all [live changes](Self#live-changes).
    pub async fn update_balloon_statistics(&self, interval_s: u16) -> Result<(), SmartVmError> {
        let update = BalloonStatsUpdate { stats_polling_interval_s: interval_s };
        self.update(Update::BalloonStatistics(update)).await
    }

    /// Asks the guest for its free pages, which the host then takes. `acknowledge_on_stop` is
    /// whether the guest may use the pages again as soon as it is done; Firecracker's default is yes.
    /// Developer preview, since Firecracker 1.14.
    ///
    /// # Errors
    /// As all [live changes](Self#live-changes).
    pub async fn start_balloon_hinting(
        &self,
        acknowledge_on_stop: Option<bool>,
    ) -> Result<(), SmartVmError> {
        self.update(Update::StartHinting(BalloonStartCmd { acknowledge_on_stop })).await
    }

    /// How far the guest is with its free pages. Since Firecracker 1.14.
    ///
    /// # Errors
    /// `NO_CLIENT` before a start and after the end, `API_REFUSED` when hinting was not configured.
    pub async fn balloon_hinting_status(&self) -> Result<BalloonHintingStatus, SmartVmError> {
        self.ask_firecracker("balloon_hinting_status", |client| async move {
            client.get_balloon_hinting_status().await
        })
        .await
    }

    /// Asks for free pages no longer. Since Firecracker 1.14.
    ///
    /// # Errors
    /// As all [live changes](Self#live-changes).
    pub async fn stop_balloon_hinting(&self) -> Result<(), SmartVmError> {
        self.update(Update::StopHinting).await
    }

    /// Plugs or unplugs memory until the guest has `requested_size_mib` beyond what it booted with: a
    /// multiple of `blockSizeMib`, at most `totalSizeMib`. The guest acts on it by and by. Since
    /// Firecracker 1.14.
    ///
    /// # Errors
    /// As all [live changes](Self#live-changes).
    pub async fn update_memory_hotplug(&self, requested_size_mib: u64) -> Result<(), SmartVmError> {
        if let Some(hotplug) = &self.spec().config().memory_hotplug {
            let mut breaches = Breaches::default();
            breaches.require(
                requested_size_mib <= hotplug.total_size_mib
                    && requested_size_mib.is_multiple_of(hotplug.block_size_mib()),
                "requestedSizeMib",
                "must be a multiple of memoryHotplug.blockSizeMib and <= memoryHotplug.totalSizeMib",
            );
            breaches.into_result()?;
        }
        self.update(Update::MemoryHotplug(MemoryHotplugSizeUpdate { requested_size_mib })).await
    }

    /// How much memory is plugged. Since Firecracker 1.14.
    ///
    /// # Errors
    /// `NO_CLIENT` before a start and after the end, `API_REFUSED` when the VM has none to plug.
    pub async fn memory_hotplug(&self) -> Result<MemoryHotplugStatus, SmartVmError> {
        self.ask_firecracker(
            "memory_hotplug",
            |client| async move { client.get_memory_hotplug().await },
        )
        .await
    }
}
