//! The option `wireguard`, as it is written down.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Through which WireGuard interface VMs reach the world. The JSON form has the same names in
/// camelCase.
///
/// Either [`existing_interface`](Self::existing_interface) or [`config`](Self::config) must be there.
/// What is written here may be wrong; [`WireGuardSpec`](super::WireGuardSpec) is what was found valid.
///
/// ```
/// use smartvm_network::{WireGuardOptions, WireGuardSpec};
///
/// let options: WireGuardOptions = serde_json::from_str(r#"{"existingInterface":"wg0"}"#)?;
/// let spec = WireGuardSpec::try_from(&options)?;
/// assert_eq!((spec.interface().as_str(), spec.route_table()), ("wg0", 51820));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct WireGuardOptions {
    /// An interface that somebody else made and keeps. It is neither changed nor removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub existing_interface: Option<String>,
    /// The description of an interface that is made for the VMs and removed after them, in the form
    /// that `wg-quick` reads; see [`WireGuardConfig`](super::WireGuardConfig). Never written out again.
    #[serde(skip_serializing)]
    pub config: Option<WireGuardText>,
    /// The name of that interface. Default: `svwg0`. Without a meaning for an existing interface.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface_name: Option<String>,
    /// Whether all that VMs send out of their subnet takes this way. Default: yes. If not, the
    /// interface is neither made nor used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route_all_vm_traffic: Option<bool>,
    /// Whether what would leave on any other way is dropped. Default: yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail_closed: Option<bool>,
    /// The routing table for the VMs' routes, 1 to 4294967295. Default: 51820.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route_table: Option<i64>,
}

/// The text of a WireGuard configuration, which has keys in it.
///
/// `Debug` does not show it, and it is overwritten when the value is dropped.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct WireGuardText(Zeroizing<String>);

impl WireGuardText {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for WireGuardText {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl From<&str> for WireGuardText {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl fmt::Debug for WireGuardText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WireGuardText(redacted)")
    }
}
