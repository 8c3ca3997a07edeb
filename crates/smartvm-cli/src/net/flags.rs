//! The flags for the network that VMs share.

use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::str::FromStr;

use smartvm_network::policy::{GuestBounds, HostService, Isolation, Transport};
use smartvm_network::{InterfaceName, Subnet};

use super::wireguard_flags::WireGuardFlags;

/// The network of VMs whose network devices name no TAP.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Network")]
pub(crate) struct NetworkFlags {
    /// The bridge: made when it is missing, used as it is when it exists [default: svbr0]
    #[arg(long, value_name = "NAME")]
    pub(crate) bridge: Option<InterfaceName>,
    /// The addresses of guests and, the first, of the host [default: 172.30.0.0/24]
    #[arg(long, value_name = "CIDR")]
    pub(crate) subnet: Option<Subnet>,
    /// Open what is closed by default: `vms` (each other), `lan` (private addresses and the host's own
    /// networks), `metadata` (169.254.169.254), or a port of the host; may be repeated
    #[arg(long, value_name = "vms|lan|metadata|host:PORT[/udp]")]
    open: Vec<Opening>,
    /// Whom guests ask for names; may be given twice [default: those of the tunnel, else the host's]
    #[arg(long, value_name = "ADDRESS")]
    dns: Vec<Ipv4Addr>,
    /// How many connections a guest may have open that it began [default: 4096]
    #[arg(long, value_name = "NUMBER")]
    guest_connections: Option<NonZeroU32>,
    /// How many connections a guest may begin in a second, and twice as many at first [default: 100]
    #[arg(long, value_name = "NUMBER")]
    guest_new_connections: Option<NonZeroU32>,
    #[command(flatten)]
    pub(crate) wireguard: WireGuardFlags,
}

/// One thing that is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opening {
    Vms,
    Lan,
    Metadata,
    Host(HostService),
}

impl FromStr for Opening {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "the forms are `vms`, `lan`, `metadata`, `host:53` and `host:53/udp`";
        let service = match text {
            "vms" => return Ok(Self::Vms),
            "lan" => return Ok(Self::Lan),
            "metadata" => return Ok(Self::Metadata),
            text => text.strip_prefix("host:").ok_or(FORM)?,
        };
        let (port, protocol) = match service.split_once('/') {
            None | Some((_, "tcp")) => (service.trim_end_matches("/tcp"), Transport::Tcp),
            Some((port, "udp")) => (port, Transport::Udp),
            Some(_) => return Err(FORM),
        };
        let port = port.parse().ok().filter(|port| *port > 0).ok_or(FORM)?;
        Ok(Self::Host(HostService { protocol, port }))
    }
}

impl NetworkFlags {
    /// What each guest may take of the host's tables.
    pub(crate) fn guest_bounds(&self) -> GuestBounds {
        let default = GuestBounds::default();
        let new = self.guest_new_connections.unwrap_or(default.new_connections_per_second);
        GuestBounds {
            connections: self.guest_connections.unwrap_or(default.connections),
            new_connections_per_second: new,
        }
    }

    /// Whom guests ask for names, where that is said.
    pub(crate) fn dns(&self) -> Option<Vec<Ipv4Addr>> {
        (!self.dns.is_empty()).then(|| self.dns.clone())
    }

    /// What is opened.
    pub(crate) fn isolation(&self) -> Isolation {
        let mut isolation = Isolation::default();
        for opening in &self.open {
            match opening {
                Opening::Vms => isolation.vm_to_vm = true,
                Opening::Lan => isolation.lan = true,
                Opening::Metadata => isolation.metadata = true,
                Opening::Host(service) => isolation.host_services.push(*service),
            }
        }
        isolation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openings_are_understood_and_anything_else_is_refused() {
        let host = |protocol, port| Opening::Host(HostService { protocol, port });
        assert_eq!("vms".parse(), Ok(Opening::Vms));
        assert_eq!("lan".parse(), Ok(Opening::Lan));
        assert_eq!("metadata".parse(), Ok(Opening::Metadata));
        assert_eq!("host:53".parse(), Ok(host(Transport::Tcp, 53)));
        assert_eq!("host:53/tcp".parse(), Ok(host(Transport::Tcp, 53)));
        assert_eq!("host:53/udp".parse(), Ok(host(Transport::Udp, 53)));
        for text in ["", "all", "host", "host:", "host:0", "host:65536", "host:53/sctp", "host:a"] {
            text.parse::<Opening>().unwrap_err();
        }
    }
}
