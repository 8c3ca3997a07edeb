//! Telling Firecracker what the VM is made of, before it boots.

use std::future::Future;
use std::path::Path;

use serde_json::Value;
use smartvm_firecracker::{ApiClient, ApiError, FirecrackerProcess};

use super::call::call;
use super::files;
use crate::config::VmSpec;
use crate::network::Attached;
use crate::smart_vm_error::SmartVmError;
use crate::vsock::SOCKET;

/// A Firecracker that was started and knows nothing yet.
///
/// The order is one that Firecracker takes: the processor's features after the machine that they
/// change, the metadata service after the network devices that lead to it. Its log and its counters it
/// was told of when it was launched.
pub(super) struct Configure<'a> {
    pub(super) process: &'a FirecrackerProcess,
    pub(super) client: &'a ApiClient,
    pub(super) spec: &'a VmSpec,
    pub(super) attached: &'a Attached,
}

impl Configure<'_> {
    /// Everything that needs no content of a drive.
    pub(super) async fn machine(&self) -> Result<(), SmartVmError> {
        let machine = &self.spec.machine;
        self.tell("configure the machine", self.client.put_machine_config(machine)).await?;
        if let Some(cpu) = &self.spec.cpu_config {
            self.tell("set the processor's features", self.client.put_cpu_config(cpu)).await?;
        }
        let mut boot_source = self.spec.config().boot_source.to_wire(files::KERNEL, files::INITRD);
        boot_source.boot_args.clone_from(&self.attached.boot_args);
        self.tell("set the boot source", self.client.put_boot_source(&boot_source)).await
    }

    /// The devices, whose files are all there. Returns how many there are.
    pub(super) async fn devices(&self) -> Result<usize, SmartVmError> {
        self.drives().await?;
        self.pmem().await?;
        self.network().await?;
        self.vsock().await?;
        self.balloon().await?;
        self.mmds().await?;
        self.entropy().await?;
        self.serial().await?;
        self.memory_hotplug().await?;
        Ok(self.spec.device_count())
    }

    /// What a snapshot does not hold, and what must be told before one is loaded.
    pub(super) async fn before_load(&self) -> Result<(), SmartVmError> {
        self.metadata().await
    }

    /// Where the user wants the vsock to be reachable.
    pub(super) fn vsock_path(&self) -> Option<&Path> {
        self.spec.config().vsock.as_ref()?.uds_path.as_deref()
    }

    async fn drives(&self) -> Result<(), SmartVmError> {
        for drive in self.spec.drives() {
            let drive = drive.config().to_wire(files::drive_name(drive));
            self.tell("attach a drive", self.client.put_drive(&drive)).await?;
        }
        Ok(())
    }

    async fn pmem(&self) -> Result<(), SmartVmError> {
        for device in &self.spec.config().pmem {
            let device = device.to_wire(files::pmem_name(&device.id));
            self.tell("attach a persistent memory device", self.client.put_pmem(&device)).await?;
        }
        Ok(())
    }

    async fn network(&self) -> Result<(), SmartVmError> {
        for interface in &self.attached.interfaces {
            let attached = self.client.put_network_interface(interface);
            self.tell("attach a network interface", attached).await?;
        }
        Ok(())
    }

    async fn vsock(&self) -> Result<(), SmartVmError> {
        let Some(vsock) = &self.spec.config().vsock else { return Ok(()) };
        let vsock = vsock.to_wire(SOCKET);
        self.tell("attach the vsock", self.client.put_vsock(&vsock)).await
    }

    async fn balloon(&self) -> Result<(), SmartVmError> {
        let Some(balloon) = &self.spec.balloon else { return Ok(()) };
        self.tell("attach the balloon", self.client.put_balloon(balloon)).await
    }

    async fn mmds(&self) -> Result<(), SmartVmError> {
        let Some(mmds) = &self.spec.mmds else { return Ok(()) };
        self.tell("configure the metadata service", self.client.put_mmds_config(mmds)).await?;
        self.metadata().await
    }

    async fn metadata(&self) -> Result<(), SmartVmError> {
        match self.spec.config().mmds.as_ref().and_then(|mmds| mmds.data.as_ref()) {
            Some(data) => {
                let data = Value::Object(data.clone());
                self.tell("set the metadata", self.client.put_mmds(&data)).await
            }
            None => Ok(()),
        }
    }

    async fn entropy(&self) -> Result<(), SmartVmError> {
        let Some(entropy) = &self.spec.entropy else { return Ok(()) };
        self.tell("attach the entropy device", self.client.put_entropy(entropy)).await
    }

    async fn serial(&self) -> Result<(), SmartVmError> {
        let Some(serial) = &self.spec.config().serial else { return Ok(()) };
        let serial = serial.to_wire(files::SERIAL);
        self.tell("configure the serial port", self.client.put_serial(&serial)).await
    }

    async fn memory_hotplug(&self) -> Result<(), SmartVmError> {
        let Some(hotplug) = &self.spec.memory_hotplug else { return Ok(()) };
        self.tell("attach the hotpluggable memory", self.client.put_memory_hotplug(hotplug)).await
    }

    async fn tell(
        &self,
        what: &'static str,
        answer: impl Future<Output = Result<(), ApiError>>,
    ) -> Result<(), SmartVmError> {
        call(self.process, what, answer).await
    }
}
