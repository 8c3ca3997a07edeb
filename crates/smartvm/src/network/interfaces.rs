//! The interfaces that are made for a VM.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use smartvm_firecracker::ProcessIdentity;
use smartvm_firecracker::api::NetworkInterface;
use smartvm_network::{AttachGuest, Attachment};

use super::interface_record::InterfaceRecord;
use super::manager_network::ManagerNetwork;
use crate::config::{NetworkInterfaceConfig, VmSpec};
use crate::options::SmartVmOptions;
use crate::smart_vm_error::SmartVmError;

/// What Firecracker uses where it is told no command line; another word replaces all of it.
const FIRECRACKER_BOOT_ARGS: &str =
    "reboot=k panic=1 nomodule 8250.nr_uarts=0 i8042.noaux i8042.nomux i8042.dumbkbd";

/// The interfaces that a VM is to get, before any of them is made.
#[derive(Debug)]
pub(crate) struct Plan {
    guests: Vec<AttachGuest>,
    records: Vec<InterfaceRecord>,
    network: Arc<ManagerNetwork>,
    options: Arc<SmartVmOptions>,
}

/// What a VM's configuration becomes with the interfaces that were made.
#[derive(Debug, Clone)]
pub(crate) struct Attached {
    /// All network devices, as Firecracker is told them.
    pub(crate) interfaces: Vec<NetworkInterface>,
    /// The command line.
    pub(crate) boot_args: Option<String>,
}

impl Plan {
    /// What `spec` asks for, none when that is nothing. `vm_dir` is the VM's directory, with its
    /// lock, and the user is the one who opens the TAPs.
    pub(crate) fn new(
        spec: &VmSpec,
        options: &Arc<SmartVmOptions>,
        network: &Arc<ManagerNetwork>,
        vm_dir: &Path,
        (uid, gid): (u32, u32),
    ) -> Option<Self> {
        let scope = vm_dir.to_string_lossy();
        let guests: Vec<_> = spec
            .managed_interfaces
            .iter()
            .map(|wanted| AttachGuest {
                vm: spec.id().as_str().to_owned(),
                iface: wanted.iface_id.clone(),
                scope: scope.clone().into_owned(),
                owner: vm_dir.join("lock"),
                owner_process: ProcessIdentity::of(rustix::process::getpid()).ok(),
                uid,
                gid,
                mac: wanted.mac,
                address: wanted.address,
                egress: wanted.egress.clone(),
                published: wanted.published.clone(),
                bounds: wanted.bounds,
                resolvers: BTreeSet::new(),
            })
            .collect();
        let record =
            |guest: &AttachGuest| InterfaceRecord::new(options, vm_dir, spec.id(), &guest.iface);
        let records = guests.iter().map(record).collect();
        let (network, options) = (Arc::clone(network), Arc::clone(options));
        (!guests.is_empty()).then_some(Self { guests, records, network, options })
    }

    /// What removes them.
    pub(crate) fn records(&self) -> &[InterfaceRecord] {
        &self.records
    }

    /// Makes them. Blocks for some milliseconds. What was made when one fails is removed by the
    /// records.
    pub(crate) fn carry_out(&self, spec: &VmSpec) -> Result<Attached, SmartVmError> {
        let network = self.network.open(&self.options)?;
        let mut made = Vec::new();
        let resolvers = self.network.resolvers(&self.options);
        for guest in &self.guests {
            // Those that it is told.
            let told = resolvers.iter().copied().take(2).collect();
            let guest = AttachGuest { resolvers: told, ..guest.clone() };
            let attachment = network.attach(&guest).map_err(|source| SmartVmError::Attach {
                id: spec.id().clone(),
                iface: guest.iface.clone(),
                source: Box::new(source),
            })?;
            made.push((guest.iface, attachment));
        }
        Ok(Attached::of(spec).with(&spec.config().network_interfaces, &made, |attachment, name| {
            attachment.boot_argument(name, &resolvers)
        }))
    }
}

impl Attached {
    /// A configuration as it is.
    pub(crate) fn of(spec: &VmSpec) -> Self {
        Self {
            interfaces: spec.network_interfaces.clone(),
            boot_args: spec.config().boot_source.boot_args.clone(),
        }
    }

    /// The same with what was made for interfaces that had no TAP.
    fn with(
        mut self,
        configs: &[NetworkInterfaceConfig],
        made: &[(String, Attachment)],
        argument: impl Fn(&Attachment, &str) -> String,
    ) -> Self {
        let text = self.boot_args.as_deref().unwrap_or(FIRECRACKER_BOOT_ARGS);
        // Whoever writes `ip=` knows better.
        // What comes after `--` is for the guest's init.
        let (before, after) = text.split_once(" -- ").map_or((text, None), |(a, b)| (a, Some(b)));
        let own = before.split_ascii_whitespace().any(|word| word.starts_with("ip="));
        let mut words = vec![before.to_owned()];
        for (index, config) in configs.iter().enumerate() {
            let Some((_, attachment)) = made.iter().find(|(iface, _)| *iface == config.iface_id)
            else {
                continue;
            };
            let interface = &mut self.interfaces[index];
            interface.host_dev_name = attachment.tap.to_string();
            let mac = attachment.mac.to_string();
            interface.guest_mac =
                Some(mac.parse().expect("six pairs of hex digits are an address"));
            if !own {
                words.push(argument(attachment, &format!("eth{index}")));
            }
        }
        if let Some(after) = after {
            words.push(format!("-- {after}"));
        }
        self.boot_args = Some(words.join(" "));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::VmConfig;

    fn attached(boot_args: Option<&str>) -> Attached {
        let mut config = VmConfig::from_json(
            r#"{"bootSource":{"kernelImagePath":"/k"},
                "machineConfig":{"vcpuCount":1,"memSizeMib":128},
                "networkInterfaces":[{"ifaceId":"own","hostDevName":"tap0"},{"ifaceId":"net"}]}"#,
        )
        .unwrap();
        config.boot_source.boot_args = boot_args.map(str::to_owned);
        let spec = config.validate().unwrap();
        let made = Attachment {
            tap: "svtap".parse().unwrap(),
            mac: "02:00:00:00:00:07".parse().unwrap(),
            address: [172, 30, 0, 2].into(),
            gateway: [172, 30, 0, 1].into(),
            mask: [255, 255, 255, 0].into(),
        };
        Attached::of(&spec).with(
            &spec.config().network_interfaces,
            &[("net".to_owned(), made)],
            |it, name| it.boot_argument(name, &[[1, 1, 1, 1].into()]),
        )
    }

    #[test]
    fn firecracker_and_the_guest_are_told_what_was_made() {
        let attached = attached(Some("quiet -- a ip=b"));
        assert_eq!(
            attached.boot_args.unwrap(),
            "quiet ip=172.30.0.2::172.30.0.1:255.255.255.0::eth1:off:1.1.1.1 -- a ip=b"
        );
        let taps: Vec<_> = attached.interfaces.iter().map(|it| it.host_dev_name.as_str()).collect();
        assert_eq!(taps, ["tap0", "svtap"]);
        assert!(attached.interfaces[1].guest_mac.is_some());
    }

    #[test]
    fn a_command_line_of_firecracker_or_with_an_address_is_kept() {
        let text = super::tests::attached(None).boot_args.unwrap();
        assert!(
            text.starts_with("reboot=k panic=1 ") && text.contains(" ip=172.30.0.2:"),
            "{text}"
        );
        let text = super::tests::attached(Some("ip=dhcp quiet")).boot_args.unwrap();
        assert_eq!(text, "ip=dhcp quiet");
    }
}
