//! Changing a VM that was started.

use serde_json::Value;
use smartvm_firecracker::api::{
    BalloonStartCmd, BalloonStatsUpdate, BalloonUpdate, DeviceId, MemoryHotplugSizeUpdate,
    NetworkInterface, PartialDrive, PartialNetworkInterface, PartialPmem,
};
use smartvm_firecracker::{ApiClient, FirecrackerProcess};

use super::call::call;
use super::device_files::DeviceFiles;
use super::files::Content;
use crate::config::{DriveConfig, PmemConfig};
use crate::lifecycle::LiveCall;
use crate::smart_vm_error::SmartVmError;
use crate::snapshot::DriveKind;

/// One change, its values already checked.
#[derive(Debug)]
pub(super) enum Update {
    /// Another content, other limits, or both.
    Drive {
        patch: PartialDrive,
        content: Option<Content>,
    },
    AddDrive {
        drive: DriveConfig,
        content: Content,
    },
    RemoveDrive(DeviceId),
    Pmem(PartialPmem),
    AddPmem {
        device: PmemConfig,
        content: Content,
    },
    RemovePmem(DeviceId),
    NetworkInterface(PartialNetworkInterface),
    AddNetworkInterface(NetworkInterface),
    RemoveNetworkInterface(DeviceId),
    Balloon(BalloonUpdate),
    BalloonStatistics(BalloonStatsUpdate),
    StartHinting(BalloonStartCmd),
    StopHinting,
    MemoryHotplug(MemoryHotplugSizeUpdate),
    SetMetadata(Value),
    ChangeMetadata(Value),
}

impl Update {
    pub(super) fn call(&self) -> LiveCall {
        match self {
            Self::Drive { .. } => LiveCall::UpdateDrive,
            Self::AddDrive { .. } => LiveCall::AddDrive,
            Self::RemoveDrive(_) => LiveCall::RemoveDrive,
            Self::Pmem(_) => LiveCall::UpdatePmem,
            Self::AddPmem { .. } => LiveCall::AddPmem,
            Self::RemovePmem(_) => LiveCall::RemovePmem,
            Self::NetworkInterface(_) => LiveCall::UpdateNetworkInterface,
            Self::AddNetworkInterface(_) => LiveCall::AddNetworkInterface,
            Self::RemoveNetworkInterface(_) => LiveCall::RemoveNetworkInterface,
            Self::Balloon(_) => LiveCall::UpdateBalloon,
            Self::BalloonStatistics(_) => LiveCall::UpdateBalloonStatistics,
            Self::StartHinting(_) => LiveCall::StartBalloonHinting,
            Self::StopHinting => LiveCall::StopBalloonHinting,
            Self::MemoryHotplug(_) => LiveCall::UpdateMemoryHotplug,
            Self::SetMetadata(_) => LiveCall::SetMetadata,
            Self::ChangeMetadata(_) => LiveCall::UpdateMetadata,
        }
    }
}

/// A started Firecracker, as an update needs it.
#[derive(Debug)]
pub(super) struct Target<'a> {
    pub(super) process: &'a FirecrackerProcess,
    pub(super) client: &'a ApiClient,
    pub(super) files: &'a mut DeviceFiles,
}

impl Target<'_> {
    /// Carries out a change. When it fails, everything is as it was, unless the connection broke.
    pub(super) async fn apply(&mut self, update: Update) -> Result<(), SmartVmError> {
        let (process, client, during) = (self.process, self.client, update.call().phrase());
        match update {
            Update::Drive { patch, content: None } => {
                call(process, during, client.patch_drive(&patch)).await
            }
            Update::Drive { mut patch, content: Some(content) } => {
                let id = patch.drive_id.as_str().to_owned();
                let swap = self.files.swap(DriveKind::Block, &id, content).await?;
                patch.path_on_host = Some(swap.name().to_owned());
                let done = call(process, during, client.patch_drive(&patch)).await;
                self.files.conclude(swap, done)
            }
            Update::AddDrive { drive, content } => {
                let id = &drive.drive_id;
                let read_only = drive.is_read_only == Some(true);
                let name = self.files.add(DriveKind::Block, id, read_only, content).await?;
                let put = drive.to_wire(name);
                let done = call(process, during, client.hotplug_drive(&put)).await;
                self.files.keep_if(DriveKind::Block, id, done)
            }
            Update::RemoveDrive(id) => {
                call(process, during, client.delete_drive(&id)).await?;
                self.files.remove(DriveKind::Block, id.as_str())
            }
            Update::Pmem(patch) => call(process, during, client.patch_pmem(&patch)).await,
            Update::AddPmem { device, content } => {
                let id = &device.id;
                let read_only = device.read_only == Some(true);
                let name = self.files.add(DriveKind::Pmem, id, read_only, content).await?;
                let put = device.to_wire(name);
                let done = call(process, during, client.hotplug_pmem(&put)).await;
                self.files.keep_if(DriveKind::Pmem, id, done)
            }
            Update::RemovePmem(id) => {
                call(process, during, client.delete_pmem(&id)).await?;
                self.files.remove(DriveKind::Pmem, id.as_str())
            }
            Update::NetworkInterface(patch) => {
                call(process, during, client.patch_network_interface(&patch)).await
            }
            Update::AddNetworkInterface(device) => {
                call(process, during, client.hotplug_network_interface(&device)).await
            }
            Update::RemoveNetworkInterface(id) => {
                call(process, during, client.delete_network_interface(&id)).await
            }
            Update::Balloon(patch) => call(process, during, client.patch_balloon(&patch)).await,
            Update::BalloonStatistics(patch) => {
                call(process, during, client.patch_balloon_statistics(&patch)).await
            }
            Update::StartHinting(command) => {
                call(process, during, client.start_balloon_hinting(&command)).await
            }
            Update::StopHinting => call(process, during, client.stop_balloon_hinting()).await,
            Update::MemoryHotplug(patch) => {
                call(process, during, client.patch_memory_hotplug(&patch)).await
            }
            Update::SetMetadata(data) => call(process, during, client.put_mmds(&data)).await,
            Update::ChangeMetadata(data) => call(process, during, client.patch_mmds(&data)).await,
        }
    }
}
