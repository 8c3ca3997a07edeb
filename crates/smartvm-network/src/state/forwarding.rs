//! The host's forwarding of IPv4: on while a network needs it, and then as it was.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::host_state::{self, HostState};
use super::state_error::StateError;
use crate::InterfaceName;

/// Of the namespace of the thread that asks.
const IP_FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Forwarding {
    /// What it was before the first network.
    original: String,
    /// Who needs it.
    networks: Vec<InterfaceName>,
}

impl HostState {
    fn forwarding_path(&self) -> PathBuf {
        self.path().join(".ip_forward")
    }

    /// Turns forwarding on for a network, noting first what it was.
    pub(crate) fn need_forwarding(&self, network: &InterfaceName) -> Result<(), StateError> {
        let failed = |source| StateError::new("turn on the host's IPv4 forwarding", source);
        let locked = self.lock()?;
        let path = locked.state.forwarding_path();
        let now = fs_err::read_to_string(IP_FORWARD).map_err(failed)?.trim().to_owned();
        let mut forwarding = read(&path)?
            .unwrap_or_else(|| Forwarding { original: now.clone(), networks: Vec::new() });
        if !forwarding.networks.contains(network) {
            forwarding.networks.push(network.clone());
            let text = serde_json::to_string(&forwarding).map_err(|it| failed(it.into()))?;
            host_state::write(&path, &text).map_err(failed)?;
        }
        if now != "1" {
            fs_err::write(IP_FORWARD, "1").map_err(failed)?;
        }
        Ok(())
    }

    /// Says that a network needs it no more; after the last it is as it was, unless somebody else
    /// has changed it meanwhile.
    pub(crate) fn release_forwarding(&self, network: &InterfaceName) -> Result<(), StateError> {
        let failed = |source| StateError::new("restore the host's IPv4 forwarding", source);
        let locked = self.lock()?;
        let path = locked.state.forwarding_path();
        let Some(mut forwarding) = read(&path)? else { return Ok(()) };
        forwarding.networks.retain(|other| other != network);
        if !forwarding.networks.is_empty() {
            let text = serde_json::to_string(&forwarding).map_err(|it| failed(it.into()))?;
            return host_state::write(&path, &text).map_err(failed);
        }
        let now = fs_err::read_to_string(IP_FORWARD).map_err(failed)?;
        if now.trim() == "1" && forwarding.original != "1" {
            fs_err::write(IP_FORWARD, &forwarding.original).map_err(failed)?;
        }
        host_state::remove(&path).map_err(failed)
    }
}

fn read(path: &std::path::Path) -> Result<Option<Forwarding>, StateError> {
    let failed = |source| StateError::new("read what the host's IPv4 forwarding was", source);
    match fs_err::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).map(Some).map_err(|it| failed(it.into())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}
