//! Is there the TAP that a network device is to use?

use std::path::Path;

/// A network device without its TAP. Code `TAP_UNUSABLE`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TapUnusable {
    /// No network device has the name. Firecracker would make one that nothing is connected to.
    #[error("the host has no network device {name}")]
    Missing {
        /// The name.
        name: String,
    },
    /// The device with the name is of another kind.
    #[error("the host's network device {name} is no TAP")]
    NotATap {
        /// The name.
        name: String,
    },
}

impl TapUnusable {
    pub(super) fn hint(&self) -> String {
        let (Self::Missing { name } | Self::NotATap { name }) = self;
        format!("make one with `ip tuntap add {name} mode tap` and bring it up")
    }
}

pub(super) fn check(name: &str) -> Result<(), TapUnusable> {
    let device = Path::new("/sys/class/net").join(name);
    if name.is_empty() || !device.exists() {
        return Err(TapUnusable::Missing { name: name.to_owned() });
    }
    // IFF_TAP; a TUN device has IFF_TUN, and others have no such file.
    let flags = fs_err::read_to_string(device.join("tun_flags")).unwrap_or_default();
    let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).unwrap_or_default();
    if flags & 2 == 0 { Err(TapUnusable::NotATap { name: name.to_owned() }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_tap_is_refused() {
        assert!(matches!(check("lo"), Err(TapUnusable::NotATap { .. })));
        assert!(matches!(check("no-such-tap"), Err(TapUnusable::Missing { .. })));
        assert!(matches!(check(""), Err(TapUnusable::Missing { .. })));
    }
}
