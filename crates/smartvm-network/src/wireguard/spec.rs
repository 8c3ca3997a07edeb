//! The option `wireguard`, found valid.

use thiserror::Error;

use super::config::{InvalidWireGuardConfig, WireGuardConfig};
use super::options::WireGuardOptions;
use crate::{InterfaceName, InvalidInterfaceName};

/// The name of a managed interface when none is given.
pub const DEFAULT_INTERFACE: &str = "svwg0";

/// The routing table when none is given.
pub const DEFAULT_ROUTE_TABLE: u32 = 51820;

/// Through which WireGuard interface VMs reach the world, in values that cannot be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireGuardSpec {
    interface: InterfaceName,
    managed: Option<WireGuardConfig>,
    route_all_vm_traffic: bool,
    fail_closed: bool,
    route_table: u32,
}

/// The option `wireguard` is wrong. It repeats no text of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidWireGuard {
    /// An interface that exists, and one to make.
    #[error("`wireguard` must have either `existingInterface` or `config`, not both")]
    Both,
    /// Neither of them.
    #[error("`wireguard` must have `existingInterface` or `config`")]
    Neither,
    /// The name of the interface.
    #[error("`wireguard.{key}` cannot be the name of an interface")]
    Interface {
        /// Which option.
        key: &'static str,
        /// The rule.
        source: InvalidInterfaceName,
    },
    /// The routing table.
    #[error("`wireguard.routeTable` must be a whole number from 1 to 4294967295, not {given}")]
    RouteTable {
        /// What was given.
        given: i64,
    },
    /// A table that routes everything on the host.
    #[error("`wireguard.routeTable` must not be {given}: the host itself uses that table")]
    SystemTable {
        /// What was given.
        given: u32,
    },
    /// The text of the configuration.
    #[error(transparent)]
    Config(#[from] InvalidWireGuardConfig),
}

/// The tables that are the host's own: default, main and local.
const SYSTEM_TABLES: std::ops::RangeInclusive<u32> = 253..=255;

impl WireGuardSpec {
    /// The interface that VMs' packets leave through.
    #[must_use]
    pub fn interface(&self) -> &InterfaceName {
        &self.interface
    }

    /// What the interface is made of; none when it is there already, and somebody else's.
    #[must_use]
    pub fn managed(&self) -> Option<&WireGuardConfig> {
        self.managed.as_ref()
    }

    /// Whether all that VMs send out of their subnet takes this way.
    #[must_use]
    pub fn routes_all_vm_traffic(&self) -> bool {
        self.route_all_vm_traffic
    }

    /// Whether what would leave on any other way is dropped.
    #[must_use]
    pub fn fails_closed(&self) -> bool {
        self.fail_closed
    }

    /// The routing table.
    #[must_use]
    pub fn route_table(&self) -> u32 {
        self.route_table
    }
}

impl TryFrom<&WireGuardOptions> for WireGuardSpec {
    type Error = InvalidWireGuard;

    /// # Errors
    /// `INVALID_WIREGUARD_CONFIG` and `INVALID_INTERFACE_NAME`; see [`InvalidWireGuard`].
    fn try_from(options: &WireGuardOptions) -> Result<Self, InvalidWireGuard> {
        let route_table = route_table(options.route_table)?;
        let named = |key, name: &str| {
            let name: Result<InterfaceName, _> = name.parse();
            name.map_err(|source| InvalidWireGuard::Interface { key, source })
        };
        let (interface, managed) = match (&options.existing_interface, &options.config) {
            (Some(_), Some(_)) => return Err(InvalidWireGuard::Both),
            (None, None) => return Err(InvalidWireGuard::Neither),
            (Some(existing), None) => (named("existingInterface", existing)?, None),
            (None, Some(text)) => {
                let name = options.interface_name.as_deref().unwrap_or(DEFAULT_INTERFACE);
                let config = WireGuardConfig::parse(text.as_str())?;
                (named("interfaceName", name)?, Some(config))
            }
        };
        Ok(Self {
            interface,
            managed,
            route_all_vm_traffic: options.route_all_vm_traffic.unwrap_or(true),
            fail_closed: options.fail_closed.unwrap_or(true),
            route_table,
        })
    }
}

fn route_table(given: Option<i64>) -> Result<u32, InvalidWireGuard> {
    let Some(given) = given else { return Ok(DEFAULT_ROUTE_TABLE) };
    let table = u32::try_from(given).ok().filter(|table| *table != 0);
    let table = table.ok_or(InvalidWireGuard::RouteTable { given })?;
    if SYSTEM_TABLES.contains(&table) {
        return Err(InvalidWireGuard::SystemTable { given: table });
    }
    Ok(table)
}

impl InvalidWireGuard {
    /// The stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Interface { .. } => "INVALID_INTERFACE_NAME",
            Self::Config(error) => error.code(),
            Self::Both | Self::Neither | Self::RouteTable { .. } | Self::SystemTable { .. } => {
                "INVALID_WIREGUARD_CONFIG"
            }
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Config(error) => error.hint(),
            Self::SystemTable { .. } => {
                Some(format!("leave `routeTable` out, which takes {DEFAULT_ROUTE_TABLE}"))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
