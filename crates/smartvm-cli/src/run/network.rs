//! The syntax of `--network`: `IFACE=TAP[,mac=ADDRESS]`.

use std::str::FromStr;

use smartvm::NetworkInterfaceConfig;

/// One network device as given on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetworkArg {
    iface_id: String,
    tap: String,
    mac: Option<String>,
}

/// Why a `--network` is not understood. What the names may be is said by the configuration's rules.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NetworkSyntaxError {
    /// No `IFACE=TAP`.
    #[error("the form is IFACE=TAP[,mac=ADDRESS], such as eth0=tap0")]
    Form,
    /// `,key=value` with a key that is not `mac`.
    #[error("`{0}` is no option of a network device; the form is IFACE=TAP[,mac=ADDRESS]")]
    UnknownOption(String),
}

impl FromStr for NetworkArg {
    type Err = NetworkSyntaxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(',');
        let names = parts.next().and_then(|names| names.split_once('='));
        let Some((iface_id, tap)) = names else { return Err(NetworkSyntaxError::Form) };
        if iface_id.is_empty() || tap.is_empty() {
            return Err(NetworkSyntaxError::Form);
        }
        let mut mac = None;
        for option in parts {
            match option.split_once('=') {
                Some(("mac", address)) if mac.is_none() => mac = Some(address.to_owned()),
                _ => return Err(NetworkSyntaxError::UnknownOption(option.to_owned())),
            }
        }
        Ok(Self { iface_id: iface_id.to_owned(), tap: tap.to_owned(), mac })
    }
}

impl NetworkArg {
    /// Adds the device, or changes the one that has its id.
    pub(super) fn apply(&self, interfaces: &mut Vec<NetworkInterfaceConfig>) {
        let known = interfaces.iter().position(|it| it.iface_id == self.iface_id);
        let index = known.unwrap_or_else(|| {
            let iface_id = self.iface_id.clone();
            interfaces.push(NetworkInterfaceConfig { iface_id, ..Default::default() });
            interfaces.len() - 1
        });
        let interface = &mut interfaces[index];
        interface.host_dev_name = Some(self.tap.clone());
        if self.mac.is_some() {
            interface.guest_mac.clone_from(&self.mac);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_device_has_a_name_a_tap_and_perhaps_an_address() {
        let arg: NetworkArg = "eth0=tap0".parse().unwrap();
        assert_eq!((arg.iface_id.as_str(), arg.tap.as_str(), arg.mac), ("eth0", "tap0", None));
        let arg: NetworkArg = "eth0=tap0,mac=06:00:00:00:00:01".parse().unwrap();
        assert_eq!(arg.mac.as_deref(), Some("06:00:00:00:00:01"));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "eth0", "=tap0", "eth0=", ",mac=x"] {
            assert_eq!(text.parse::<NetworkArg>(), Err(NetworkSyntaxError::Form), "{text}");
        }
        for option in ["mtu=1", "mac", "", "mac=a,mac=b"] {
            let text = format!("eth0=tap0,{option}");
            let refused = text.parse::<NetworkArg>();
            assert!(matches!(refused, Err(NetworkSyntaxError::UnknownOption(_))), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,30}") {
            let _ = text.parse::<NetworkArg>();
        }
    }
}
