//! Which address is whose.

use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::PathBuf;

use rustix::fs::OFlags;

use super::network_state::Locked;
use super::state_error::StateError;
use crate::{InterfaceName, Subnet};

/// An address that cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// Every address has a guest.
    #[error("all addresses of {subnet} are in use")]
    Exhausted {
        /// The subnet.
        subnet: Subnet,
    },
    /// Another guest has it.
    #[error("address {address} is in use by the guest behind {holder}")]
    InUse {
        /// What was asked for.
        address: Ipv4Addr,
        /// The TAP of the guest.
        holder: String,
    },
    /// It is not one of a guest.
    #[error("address {address} is not one of a guest in {subnet}")]
    Foreign {
        /// What was asked for.
        address: Ipv4Addr,
        /// The subnet.
        subnet: Subnet,
    },
    /// The files that say which addresses are in use cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
}

impl LeaseError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Exhausted { .. } => "IP_EXHAUSTED",
            Self::InUse { .. } => "IP_IN_USE",
            Self::Foreign { .. } => "INVALID_IP",
            Self::State(error) => error.code(),
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Exhausted { subnet } => Some(format!(
                "stop a VM, or choose a larger subnet than /{} for all of them",
                subnet.prefix()
            )),
            Self::InUse { .. } => Some("leave the address to be chosen".to_owned()),
            Self::Foreign { .. } => {
                Some("the first address is the host's and the last reaches all".to_owned())
            }
            Self::State(error) => error.hint(),
        }
    }
}

impl Locked<'_> {
    /// Gives an address to a TAP: the one that is wanted, or the next free one after the last.
    pub(crate) fn lease(
        &self,
        subnet: Subnet,
        tap: &InterfaceName,
        wanted: Option<Ipv4Addr>,
    ) -> Result<Ipv4Addr, LeaseError> {
        if let Some(address) = wanted {
            if !subnet.is_guest(address) {
                return Err(LeaseError::Foreign { address, subnet });
            }
            return match self.take(address, tap)? {
                None => Ok(address),
                Some(holder) => Err(LeaseError::InUse { address, holder }),
            };
        }
        // The one that was given out last is noted, so that none is given out again soon.
        let last: Option<Ipv4Addr> = self.lock.note().ok().and_then(|text| text.parse().ok());
        let last = last.filter(|last| subnet.is_guest(*last)).unwrap_or_else(|| subnet.gateway());
        let after = subnet.guests().skip_while(|address| *address <= last);
        let before = subnet.guests().take_while(|address| *address <= last);
        for address in after.chain(before) {
            if self.take(address, tap)?.is_none() {
                // Whoever reads half of it begins from the start, which harms nothing.
                self.lock
                    .leave(&address.to_string())
                    .map_err(|source| self.state.failed("note an address of", source))?;
                return Ok(address);
            }
        }
        Err(LeaseError::Exhausted { subnet })
    }

    /// Gives an address back that the TAP has.
    pub(crate) fn release(&self, address: Ipv4Addr, tap: &InterfaceName) -> Result<(), StateError> {
        let (dir, path) = (self.state.dir(), self.lease_path(address));
        let released = dir.read_text(&path).and_then(|holder| match holder {
            Some(holder) if holder == tap.as_str() => dir.remove_file(&path),
            _ => Ok(()),
        });
        released.map_err(|source| self.state.failed("give back an address of", source))
    }

    /// Takes an address, or says who has it. A lease without its guest was left by a process that
    /// was killed between the two, as whoever makes them holds the lock that we hold.
    fn take(&self, address: Ipv4Addr, tap: &InterfaceName) -> Result<Option<String>, StateError> {
        let failed = |source| self.state.failed("take an address of", source);
        let (dir, path) = (self.state.dir(), self.lease_path(address));
        match dir.open(&path, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL) {
            Ok(file) => {
                file.into_file().write_all(tap.as_str().as_bytes()).map_err(failed)?;
                Ok(None)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let holder = dir.read_text(&path).map_err(failed)?.unwrap_or_default();
                if let Ok(guest) = holder.parse()
                    && dir.stat(self.state.guest_path(&guest)).map_err(failed)?.is_some()
                {
                    return Ok(Some(holder));
                }
                dir.write(&path, tap.as_str().as_bytes()).map_err(failed)?;
                Ok(None)
            }
            Err(error) => Err(failed(error)),
        }
    }

    fn lease_path(&self, address: Ipv4Addr) -> PathBuf {
        self.state.part("leases").join(address.to_string())
    }
}

#[cfg(test)]
mod tests;
