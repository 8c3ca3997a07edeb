//! The address that the kernel's command line gives this guest.

use std::net::Ipv4Addr;

/// One `ip=`: `CLIENT:SERVER:GATEWAY:MASK:HOST:DEVICE:off[:RESOLVER[:RESOLVER]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) client: Ipv4Addr,
    pub(crate) gateway: Option<Ipv4Addr>,
    pub(crate) prefix: u8,
    pub(crate) device: String,
    pub(crate) resolvers: Vec<Ipv4Addr>,
}

impl Address {
    /// Reads what stands behind `ip=`. None for what asks for something else than a fixed address
    /// of a named device, such as `dhcp`: that is for others.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split(':').collect();
        let field = |index: usize| fields.get(index).copied().filter(|field| !field.is_empty());
        if !matches!(field(6), Some("off" | "none")) {
            return None;
        }
        let client = field(0)?.parse().ok()?;
        let mask: Ipv4Addr = field(3)?.parse().ok()?;
        let prefix = mask.to_bits().leading_ones();
        if mask.to_bits().count_ones() != prefix {
            return None;
        }
        let device = field(5)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if device.len() > 15 || !device.chars().all(plain) {
            return None;
        }
        let resolvers = [7, 8].into_iter().filter_map(|index| field(index)?.parse().ok());
        Some(Self {
            client,
            gateway: field(2).and_then(|gateway| gateway.parse().ok()),
            prefix: u8::try_from(prefix).ok()?,
            device: device.to_owned(),
            resolvers: resolvers.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_smartvm_writes_is_understood() {
        let address =
            Address::parse("172.30.0.2::172.30.0.1:255.255.255.0::eth0:off:192.0.2.1:192.0.2.2");
        let address = address.unwrap();
        assert_eq!(address.client, Ipv4Addr::new(172, 30, 0, 2));
        assert_eq!(address.gateway, Some(Ipv4Addr::new(172, 30, 0, 1)));
        assert_eq!((address.prefix, address.device.as_str()), (24, "eth0"));
        assert_eq!(address.resolvers.len(), 2);
        let plain = Address::parse("10.0.0.6:::255.255.255.252::eth1:off").unwrap();
        assert_eq!((plain.gateway, plain.prefix, plain.resolvers.len()), (None, 30, 0));
    }

    #[test]
    fn anything_else_is_left_to_others() {
        for text in [
            "",
            "dhcp",
            "on",
            "172.30.0.2::172.30.0.1:255.255.255.0::eth0:dhcp",
            "172.30.0.2::172.30.0.1:255.255.255.0::eth0",
            "172.30.0.2::172.30.0.1:255.0.255.0::eth0:off",
            "172.30.0.2::172.30.0.1:255.255.255.0:::off",
            "172.30.0.2::172.30.0.1:255.255.255.0::../x:off",
        ] {
            assert_eq!(Address::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = Address::parse(&text);
        }
    }
}
