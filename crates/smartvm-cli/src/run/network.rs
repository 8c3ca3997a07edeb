//! The syntax of `--network`: `IFACE[=TAP][,mac=ADDRESS][,ip=ADDRESS]`.

use std::str::FromStr;

use smartvm::NetworkInterfaceConfig;

/// One network device as given on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetworkArg {
    iface_id: String,
    /// None for one that is made for the VM.
    tap: Option<String>,
    mac: Option<String>,
    ip: Option<String>,
}

/// Why a `--network` is not understood. What the names may be is said by the configuration's rules.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NetworkSyntaxError {
    /// No `IFACE`.
    #[error("the form is IFACE[=TAP][,mac=ADDRESS][,ip=ADDRESS], such as eth0 or eth0=tap0")]
    Form,
    /// `,key=value` with a key that is neither `mac` nor `ip`.
    #[error(
        "`{0}` is no option of a network device; the form is IFACE[=TAP][,mac=ADDRESS][,ip=ADDRESS]"
    )]
    UnknownOption(String),
}

impl FromStr for NetworkArg {
    type Err = NetworkSyntaxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(',');
        let names = parts.next().unwrap_or_default();
        let (iface_id, tap) = match names.split_once('=') {
            None => (names, None),
            Some((iface_id, tap)) => (iface_id, Some(tap.to_owned())),
        };
        if iface_id.is_empty() || tap.as_ref().is_some_and(String::is_empty) {
            return Err(NetworkSyntaxError::Form);
        }
        let (mut mac, mut ip) = (None, None);
        for option in parts {
            match option.split_once('=') {
                Some(("mac", address)) if mac.is_none() => mac = Some(address.to_owned()),
                Some(("ip", address)) if ip.is_none() => ip = Some(address.to_owned()),
                _ => return Err(NetworkSyntaxError::UnknownOption(option.to_owned())),
            }
        }
        Ok(Self { iface_id: iface_id.to_owned(), tap, mac, ip })
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
        interface.host_dev_name.clone_from(&self.tap);
        if self.ip.is_some() {
            interface.ip_address.clone_from(&self.ip);
        }
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
        let tap = arg.tap.as_deref();
        assert_eq!(
            (arg.iface_id.as_str(), tap, arg.mac, arg.ip),
            ("eth0", Some("tap0"), None, None)
        );
        let arg: NetworkArg = "eth0=tap0,mac=06:00:00:00:00:01".parse().unwrap();
        assert_eq!(arg.mac.as_deref(), Some("06:00:00:00:00:01"));
        let arg: NetworkArg = "eth0,ip=172.30.0.9".parse().unwrap();
        assert_eq!((arg.tap, arg.ip.as_deref()), (None, Some("172.30.0.9")));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "=tap0", "eth0=", ",mac=x"] {
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
