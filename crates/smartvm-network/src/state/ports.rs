//! Which ports of the host are published, and for whom.

use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

use super::host_state::HostState;
use super::state_error::StateError;
use crate::InterfaceName;
use crate::policy::{PublishedPort, Transport};

/// The directory of published ports.
const PORTS: &str = ".ports";

/// A port that cannot be published. Code `PORT_IN_USE`, or `PORT_UNAVAILABLE`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortConflict {
    /// It leads to another guest.
    #[error("port {port} of the host is published already, for {holder}")]
    Published {
        /// What was wanted.
        port: PublishedPort,
        /// The network and the TAP that it leads to.
        holder: String,
    },
    /// A program of the host has it.
    #[error("a program of the host listens on port {port}")]
    Listening {
        /// What was wanted.
        port: PublishedPort,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot be had at all.
    #[error("port {port} of the host cannot be had")]
    Unavailable {
        /// What was wanted.
        port: PublishedPort,
        /// What the system said.
        source: io::Error,
    },
    /// The files that say which ports are published cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
}

impl PortConflict {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Published { .. } | Self::Listening { .. } => "PORT_IN_USE",
            Self::Unavailable { .. } => "PORT_UNAVAILABLE",
            Self::State(error) => error.code(),
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Published { .. } => Some("choose another port, or stop the other VM".to_owned()),
            Self::Listening { port, .. } => Some(format!(
                "choose another port, or see with `ss -lnp sport = :{}` which program it is",
                port.host_port
            )),
            Self::Unavailable { .. } => Some("name an address that the host has".to_owned()),
            Self::State(error) => error.hint(),
        }
    }
}

impl HostState {
    fn port_path(&self, port: &PublishedPort) -> PathBuf {
        let PublishedPort { protocol, host_port, host_address, .. } = port;
        Path::new(PORTS).join(format!("{}-{host_port}-{host_address}", protocol.as_str()))
    }

    /// Takes ports for a TAP: all of them or none.
    pub(crate) fn take_ports(
        &self,
        network: &InterfaceName,
        tap: &InterfaceName,
        ports: &[PublishedPort],
    ) -> Result<(), PortConflict> {
        if ports.is_empty() {
            return Ok(());
        }
        let failed = |source| StateError::new("note a published port", source);
        let _locked = self.lock()?;
        self.dir().ensure_dir(PORTS).map_err(failed)?;
        let holder = format!("{network} {tap}");
        for (index, port) in ports.iter().enumerate() {
            let taken = self.taken(port)?;
            let taken = taken.filter(|taken| *taken != holder);
            let twice = ports[..index].iter().any(|other| other.conflicts(port));
            if let Some(holder) = taken.or_else(|| twice.then(|| holder.clone())) {
                return Err(PortConflict::Published { port: *port, holder });
            }
            try_bind(port)?;
        }
        for port in ports {
            self.dir().write(self.port_path(port), holder.as_bytes()).map_err(failed)?;
        }
        Ok(())
    }

    /// Gives ports back that the TAP has.
    pub(crate) fn release_ports(
        &self,
        network: &InterfaceName,
        tap: &InterfaceName,
        ports: &[PublishedPort],
    ) -> Result<(), StateError> {
        let failed = |source| StateError::new("forget a published port", source);
        for port in ports {
            let path = self.port_path(port);
            let holder = self.dir().read_text(&path).map_err(failed)?;
            if holder.is_some_and(|holder| holder == format!("{network} {tap}")) {
                self.dir().remove_file(&path).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Removes ports whose guest is gone: its process was killed while it took them.
    pub(super) fn sweep_ports(&self) -> Result<(), StateError> {
        let failed = |source| StateError::new("look for published ports", source);
        let Some(ports) = self.dir().dir(PORTS).map_err(failed)? else { return Ok(()) };
        if ports.entries().map_err(failed)?.is_empty() {
            return Ok(());
        }
        let _locked = self.lock()?;
        for entry in ports.entries().map_err(failed)? {
            let holder = ports.read_text(entry.name()).map_err(failed)?.unwrap_or_default();
            if !self.lives(&holder).map_err(failed)? {
                ports.remove_file(entry.name()).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Whether the guest of a port is written down. Names are what they must be: no other file is
    /// looked at.
    fn lives(&self, holder: &str) -> io::Result<bool> {
        let parsed = holder.split_once(' ').and_then(|(network, tap)| {
            Some((network.parse::<InterfaceName>().ok()?, tap.parse::<InterfaceName>().ok()?))
        });
        let Some((network, tap)) = parsed else { return Ok(false) };
        let guest = Path::new(network.as_str()).join("guests").join(format!("{tap}.json"));
        Ok(self.dir().stat(guest)?.is_some())
    }

    /// Whom a port that conflicts leads to.
    fn taken(&self, port: &PublishedPort) -> Result<Option<String>, StateError> {
        let failed = |source| StateError::new("look for published ports", source);
        let start = format!("{}-{}-", port.protocol.as_str(), port.host_port);
        let Some(ports) = self.dir().dir(PORTS).map_err(failed)? else { return Ok(None) };
        for entry in ports.entries().map_err(failed)? {
            let name = entry.name();
            let address = name.to_str().and_then(|name| name.strip_prefix(&start));
            let Some(host_address) = address.and_then(|it| it.parse().ok()) else { continue };
            if port.conflicts(&PublishedPort { host_address, ..*port }) {
                let holder = ports.read_text(name).map_err(failed)?.unwrap_or_default();
                if self.lives(&holder).map_err(failed)? {
                    return Ok(Some(holder));
                }
                ports.remove_file(name).map_err(failed)?;
            }
        }
        Ok(None)
    }
}

/// Whether a program of the host has the port.
fn try_bind(port: &PublishedPort) -> Result<(), PortConflict> {
    let address: (Ipv4Addr, u16) = (port.host_address, port.host_port);
    let bound = match port.protocol {
        Transport::Tcp => TcpListener::bind(address).map(drop),
        Transport::Udp => UdpSocket::bind(address).map(drop),
    };
    bound.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => PortConflict::Listening { port: *port, source },
        _ => PortConflict::Unavailable { port: *port, source },
    })
}
