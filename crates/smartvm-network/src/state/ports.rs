//! Which ports of the host are published, and for whom.

use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::PathBuf;

use fs_err::os::unix::fs::OpenOptionsExt;

use super::host_state::{self, HostState};
use super::state_error::StateError;
use crate::InterfaceName;
use crate::policy::{PublishedPort, Transport};

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
    pub const fn code(&self) -> &'static str {
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
    fn ports_dir(&self) -> PathBuf {
        self.path().join(".ports")
    }

    fn port_path(&self, port: &PublishedPort) -> PathBuf {
        self.ports_dir().join(format!(
            "{}-{}-{}",
            port.protocol.as_str(),
            port.host_port,
            port.host_address
        ))
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
        fs_err::create_dir_all(self.ports_dir()).map_err(failed)?;
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
            let mut options = fs_err::OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            let file = options.open(self.port_path(port)).map_err(failed)?;
            io::Write::write_all(&mut file.into_file(), holder.as_bytes()).map_err(failed)?;
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
            match fs_err::read_to_string(&path) {
                Ok(text) if text == format!("{network} {tap}") => {
                    host_state::remove(&path).map_err(failed)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes ports whose guest is gone: its process was killed while it took them.
    pub(super) fn sweep_ports(&self) -> Result<(), StateError> {
        let failed = |source| StateError::new("look for published ports", source);
        if !self.ports_dir().exists() {
            return Ok(());
        }
        let _locked = self.lock()?;
        for entry in fs_err::read_dir(self.ports_dir()).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let holder = fs_err::read_to_string(&path).map_err(failed)?;
            if !self.lives(&holder) {
                host_state::remove(&path).map_err(failed)?;
            }
        }
        Ok(())
    }

    fn lives(&self, holder: &str) -> bool {
        holder.split_once(' ').is_some_and(|(network, tap)| {
            self.path().join(network).join("guests").join(format!("{tap}.json")).exists()
        })
    }

    /// Whom a port that conflicts leads to.
    fn taken(&self, port: &PublishedPort) -> Result<Option<String>, StateError> {
        let failed = |source| StateError::new("look for published ports", source);
        let start = format!("{}-{}-", port.protocol.as_str(), port.host_port);
        for entry in fs_err::read_dir(self.ports_dir()).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let address = name.to_str().and_then(|name| name.strip_prefix(&start));
            let Some(host_address) = address.and_then(|it| it.parse().ok()) else { continue };
            if port.conflicts(&PublishedPort { host_address, ..*port }) {
                let holder = fs_err::read_to_string(entry.path()).map_err(failed)?;
                if self.lives(&holder) {
                    return Ok(Some(holder));
                }
                host_state::remove(&entry.path()).map_err(failed)?;
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
