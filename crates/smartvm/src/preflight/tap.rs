//! Is there the TAP that a network device is to use?

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use smartvm_network::InterfaceName;
use smartvm_network::link::{LinkKind, Links};
use smartvm_network::netlink::NetlinkError;

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
    /// The kernel does not say what there is.
    #[error("cannot look for the network device {name}")]
    NotKnown {
        /// The name.
        name: String,
        /// What it said.
        source: NetlinkError,
    },
    /// The network namespace of the jail has no device of the name.
    #[error("the network namespace {} has no device {name}", netns.display())]
    MissingIn {
        /// The namespace.
        netns: PathBuf,
        /// The name.
        name: String,
    },
    /// The network namespace of the jail cannot be looked into.
    #[error("cannot look into the network namespace {}", netns.display())]
    Namespace {
        /// The namespace.
        netns: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The device with the name is of another kind.
    #[error("the host's network device {name} is no TAP")]
    NotATap {
        /// The name.
        name: String,
    },
    /// The device is one that goes on or comes while the VM runs, and those are not made for it.
    #[error("the network device {iface} names no TAP of the host")]
    Unnamed {
        /// The device.
        iface: String,
    },
}

impl TapUnusable {
    pub(super) fn hint(&self) -> String {
        match self {
            Self::Missing { name } | Self::NotATap { name } => {
                format!("make one with `ip tuntap add {name} mode tap` and bring it up")
            }
            Self::NotKnown { source, .. } => {
                source.hint().unwrap_or_else(|| "see with `ip link` what there is".to_owned())
            }
            Self::MissingIn { name, .. } => format!(
                "make one there with `ip -n NAMESPACE tuntap add {name} mode tap` and bring it up"
            ),
            Self::Unnamed { iface } => format!(
                "a restored VM and a device that is plugged in need a TAP that exists: name it \
                 (`--tap {iface}=NAME` of `smartvm snapshot restore`)"
            ),
            Self::Namespace { .. } => {
                "make one with `ip netns add NAME`; it is then /run/netns/NAME".to_owned()
            }
        }
    }
}

/// Looks for it in the network namespace of this thread, whatever namespace `/sys` is of.
pub(super) fn check(name: &str) -> Result<(), TapUnusable> {
    let missing = || TapUnusable::Missing { name: name.to_owned() };
    let link: InterfaceName = name.parse().map_err(|_| missing())?;
    let found = Links::open().and_then(|mut links| links.find(&link));
    let found = found.map_err(|source| TapUnusable::NotKnown { name: name.to_owned(), source })?;
    match found.ok_or_else(missing)?.kind {
        LinkKind::Tap => Ok(()),
        LinkKind::Bridge | LinkKind::Tun | LinkKind::Other(_) => {
            Err(TapUnusable::NotATap { name: name.to_owned() })
        }
    }
}

/// The same in another network namespace, where only the name can be seen; that it is no TAP is left
/// to Firecracker to find.
pub(super) fn check_in(netns: &Path, name: &str) -> Result<(), TapUnusable> {
    let devices = devices_in(netns)
        .map_err(|source| TapUnusable::Namespace { netns: netns.to_owned(), source })?;
    let is_it = |line: &str| line.split_once(':').is_some_and(|(device, _)| device.trim() == name);
    if devices.lines().any(is_it) {
        return Ok(());
    }
    Err(TapUnusable::MissingIn { netns: netns.to_owned(), name: name.to_owned() })
}

/// What the kernel lists in a network namespace, a device a line. A thread of its own enters it and
/// ends there, so that no other one is ever in the wrong namespace.
fn devices_in(netns: &Path) -> io::Result<String> {
    let netns = fs_err::File::open(netns)?;
    let look = || {
        move_into_link_name_space(netns.as_fd(), Some(LinkNameSpaceType::Network))?;
        fs_err::read_to_string("/proc/thread-self/net/dev")
    };
    std::thread::scope(|scope| scope.spawn(look).join())
        .unwrap_or_else(|_| Err(io::Error::other("the thread that looked panicked")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_looked_into_by_the_names_in_it() {
        let missing = check_in(Path::new("/no/such/namespace"), "tap0").unwrap_err();
        assert!(matches!(missing, TapUnusable::Namespace { .. }), "{missing}");
        let own = Path::new("/proc/self/ns/net");
        let (there, missing) = (check_in(own, "lo"), check_in(own, "no-such-tap").unwrap_err());
        if rustix::process::geteuid().is_root() {
            there.unwrap();
            assert!(matches!(missing, TapUnusable::MissingIn { .. }), "{missing}");
        } else {
            // Only root may enter one, and others are told.
            assert!(matches!(there, Err(TapUnusable::Namespace { .. })), "{there:?}");
            assert!(matches!(missing, TapUnusable::Namespace { .. }), "{missing}");
        }
    }

    #[test]
    fn what_is_no_tap_is_refused() {
        assert!(matches!(check("lo"), Err(TapUnusable::NotATap { .. })));
        assert!(matches!(check("no-such-tap"), Err(TapUnusable::Missing { .. })));
        assert!(matches!(check(""), Err(TapUnusable::Missing { .. })));
    }
}
