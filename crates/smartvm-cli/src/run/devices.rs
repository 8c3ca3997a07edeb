//! The flags of `smartvm run` for devices other than drives.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use smartvm::{BalloonConfig, EntropyConfig, MmdsConfig, VmConfig, VsockConfig};

use smartvm_network::policy::{FirewallConfig, PublishedPort};

use super::network::NetworkArg;
use super::vsock::VsockArg;
use crate::failure::Failure;
use crate::net::NetworkFlags;
use crate::settings::absolute;

/// Devices, each of which can also be a section of the configuration file.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Devices")]
pub(crate) struct DeviceArgs {
    /// A network device, with a TAP and an address of its own unless it names an existing TAP; may
    /// be repeated
    #[arg(
        long = "network",
        visible_alias = "net",
        value_name = "IFACE[=TAP][,mac=ADDRESS][,ip=ADDRESS]"
    )]
    network: Vec<NetworkArg>,
    /// Let a port of the host lead to the guest's first network device; may be repeated
    #[arg(long, value_name = "[ADDRESS:]PORT:GUEST_PORT[/udp]")]
    publish: Vec<PublishedPort>,
    /// Where the guest may connect to, as JSON: the section `firewall` of a network device
    #[arg(long, value_name = "FILE")]
    firewall: Option<PathBuf>,
    #[command(flatten)]
    pub(super) network_flags: NetworkFlags,
    /// A socket between guest and host: the guest's CID, and where it is on the host
    ///
    /// A program of the host connects to PATH, sends `CONNECT <port>` and a line feed, and reads
    /// `OK <number>`. Without PATH the socket is only in the VM's own directory.
    #[arg(long, value_name = "CID[:PATH]")]
    vsock: Option<VsockArg>,
    /// Take so much of the guest's memory, in MiB, with a balloon device
    #[arg(long, value_name = "MIB")]
    balloon: Option<u32>,
    /// What the guest can look up at http://169.254.169.254, as a JSON object; needs a network
    /// device
    #[arg(long, value_name = "FILE")]
    metadata: Option<PathBuf>,
    /// Give the guest random bytes of the host
    #[arg(long)]
    entropy: bool,
    /// Put devices on a PCI bus, which plugging them in later needs (Firecracker 1.13)
    #[arg(long)]
    pci: bool,
}

impl DeviceArgs {
    /// What is for the network device that is made for the VM.
    fn apply_to_managed(&self, config: &mut VmConfig) -> Result<(), Failure> {
        if self.publish.is_empty() && self.firewall.is_none() {
            return Ok(());
        }
        let mut interfaces = config.network_interfaces.iter_mut();
        let interface = interfaces.find(|it| it.host_dev_name.is_none()).ok_or_else(|| {
            let message = "--publish and --firewall need a network device that is made for the VM";
            Failure::new("USAGE", message).with_hint("add one with --network eth0")
        })?;
        interface.published_ports.extend(self.publish.iter().map(PublishedPort::to_string));
        if let Some(path) = &self.firewall {
            let text = fs_err::read_to_string(path).map_err(|error| {
                let message = format!("failed to read the firewall `{}`", path.display());
                Failure::new("FIREWALL_UNREADABLE", message).caused_by(&error)
            })?;
            let invalid = |error: &(dyn std::error::Error + 'static)| {
                let message = format!("the firewall `{}` is invalid", path.display());
                Failure::new("INVALID_FIREWALL_CONFIG", message).caused_by(error)
            };
            let object = smartvm_json::object(text.as_bytes()).map_err(|error| invalid(&error))?;
            let firewall: Result<FirewallConfig, _> = serde_json::from_value(Value::Object(object));
            let firewall = firewall.map_err(|error| invalid(&error))?;
            firewall.to_policy().map_err(|error| invalid(&error))?;
            interface.firewall = Some(firewall);
        }
        Ok(())
    }

    /// Puts the devices into the configuration, over what it says of the same ones.
    pub(super) fn apply(&self, config: &mut VmConfig) -> Result<(), Failure> {
        for network in &self.network {
            network.apply(&mut config.network_interfaces);
        }
        self.apply_to_managed(config)?;
        if let Some(vsock) = &self.vsock {
            let uds_path = vsock.path.as_deref().map(absolute).transpose()?;
            config.vsock = Some(VsockConfig { guest_cid: vsock.cid, uds_path });
        }
        if let Some(amount_mib) = self.balloon {
            config.balloon.get_or_insert_with(BalloonConfig::default).amount_mib = amount_mib;
        }
        if let Some(path) = &self.metadata {
            let data = read_object(path)?;
            let interfaces = &config.network_interfaces;
            let mmds = config.mmds.get_or_insert_with(|| MmdsConfig {
                network_interfaces: interfaces.iter().map(|it| it.iface_id.clone()).collect(),
                ..MmdsConfig::default()
            });
            mmds.data = Some(data);
        }
        if self.entropy {
            config.entropy.get_or_insert_with(EntropyConfig::default);
        }
        config.enable_pci |= self.pci;
        Ok(())
    }
}

fn read_object(path: &Path) -> Result<Map<String, Value>, Failure> {
    let what = format!("failed to read the metadata {}", path.display());
    let failed = |error: &(dyn std::error::Error + 'static)| {
        Failure::new("METADATA_UNREADABLE", what.clone()).caused_by(error)
    };
    let text = fs_err::read_to_string(path).map_err(|error| failed(&error))?;
    smartvm_json::object(text.as_bytes()).map_err(|error| failed(&error))
}
