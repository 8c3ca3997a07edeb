//! The flags for a way out through WireGuard.

use std::path::PathBuf;

use smartvm_network::{InterfaceName, WireGuardOptions};

use crate::failure::Failure;

/// Through which WireGuard interface VMs reach the world.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct WireGuardFlags {
    /// Send all that leaves the guests' subnet through a WireGuard interface that is made for it, and
    /// nothing another way; the file is in the form that `wg-quick` reads
    #[arg(long, value_name = "FILE", conflicts_with = "wireguard_interface")]
    wireguard: Option<PathBuf>,
    /// The same through a WireGuard interface that exists
    #[arg(long, value_name = "NAME")]
    wireguard_interface: Option<InterfaceName>,
    /// The routing table for that [default: 51820]
    #[arg(long, value_name = "NUMBER")]
    wireguard_table: Option<u32>,
}

impl WireGuardFlags {
    /// As the library takes it; none when no interface was named.
    ///
    /// # Errors
    /// `WIREGUARD_UNREADABLE` when there is no such file.
    pub(crate) fn options(&self) -> Result<Option<WireGuardOptions>, Failure> {
        let config = self.wireguard.as_ref().map(|path| {
            fs_err::read_to_string(path).map_err(|error| {
                let message = format!("failed to read the WireGuard file `{}`", path.display());
                Failure::new("WIREGUARD_UNREADABLE", message).caused_by(&error)
            })
        });
        let config = config.transpose()?;
        let existing = self.wireguard_interface.as_ref();
        if config.is_none() && existing.is_none() {
            return match self.wireguard_table {
                None => Ok(None),
                Some(_) => Err(Failure::new("USAGE", "--wireguard-table needs an interface")
                    .with_hint("name one with --wireguard or --wireguard-interface")),
            };
        }
        Ok(Some(WireGuardOptions {
            config: config.map(Into::into),
            existing_interface: existing.map(InterfaceName::to_string),
            route_table: self.wireguard_table.map(i64::from),
            ..WireGuardOptions::default()
        }))
    }
}
