//! What everything that is made on the host is called.
//!
//! A *network* is a bridge with all that belongs to it, and its bridge's name is its name. Several
//! processes may use one network at once.
//!
//! | what | name | for the network `svbr0` |
//! |---|---|---|
//! | bridge | as configured | `svbr0` |
//! | nftables tables, families `inet` and `bridge` | `smartvm-` and the bridge | `smartvm-svbr0` |
//! | nftables table of the host, family `inet` | [`HOST_TABLE`] | `smartvm` |
//! | TAP of a VM | `sv` and 13 characters that stand for network, scope, VM and interface | `svk3b7q2m5x4w8c` |
//! | hardware address of a guest | `02:` and 5 bytes that stand for the same | `02:9d:1c:44:e0:7b` |
//! | link group of all TAPs of the network | [`link_group`] | `1517936234` |
//! | link group of TAPs that are being removed | [`dying_group`] | |
//! | alias (`IFLA_IFALIAS`) of each link | `smartvm:` network `:` VM `:` interface | `smartvm:svbr0:web:eth0` |
//!
//! Names that stand for something are cut from a SHA-256, so they are the same each time, and no two
//! VMs of a host share them. The *scope* tells apart VMs with equal ids of different owners: it is the
//! VM's directory.
//!
//! A managed WireGuard interface is `svwg0`, or as configured. It is known as the network's by its link
//! group ([`wireguard_group`]), which it has from the moment it exists; its alias ends with a digest of its
//! configuration. Routing rules and routes are known by their protocol,
//! [`routing::PROTOCOL`](crate::routing::PROTOCOL), and the subnet.

use sha2::{Digest, Sha256};

use crate::{InterfaceName, MacAddress};

/// 5 bits a character; without those that are mistaken for others.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// The name of the nftables table, family `inet`, of what belongs to the whole host. No network's is that.
pub const HOST_TABLE: &str = "smartvm";

/// The name of the network's nftables tables.
#[must_use]
pub fn table(network: &InterfaceName) -> String {
    format!("smartvm-{network}")
}

/// The group of the network's TAPs, by which one request removes all of them. Never 0, which is the
/// group of every other link.
#[must_use]
pub fn link_group(network: &InterfaceName) -> u32 {
    group("group", network)
}

/// The group of TAPs of the network that are about to be removed. Never that of the others, nor 0.
#[must_use]
pub fn dying_group(network: &InterfaceName) -> u32 {
    group("dying", network)
}

/// The group of the network's managed WireGuard interface. Never that of TAPs, nor 0.
#[must_use]
pub fn wireguard_group(network: &InterfaceName) -> u32 {
    group("wireguard", network)
}

fn group(what: &str, network: &InterfaceName) -> u32 {
    let hash = hash(&[what, network.as_str()]);
    let number = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
    // Positive for tools that print it signed, and larger than what people choose by hand.
    (number | 0x4000_0000) & 0x7fff_ffff
}

/// The name of the TAP behind interface `iface` of VM `vm`.
#[must_use]
pub fn tap(network: &InterfaceName, scope: &str, vm: &str, iface: &str) -> InterfaceName {
    let hash = hash(&["tap", network.as_str(), scope, vm, iface]);
    let mut name = String::from("sv");
    let mut bits = u128::from_be_bytes(hash[..16].try_into().expect("a SHA-256 has 32 bytes"));
    for _ in 0..13 {
        name.push(char::from(ALPHABET[(bits & 31) as usize]));
        bits >>= 5;
    }
    name.parse().expect("15 letters and digits are a name")
}

/// The hardware address of interface `iface` of VM `vm`, where none is chosen.
#[must_use]
pub fn mac(network: &InterfaceName, scope: &str, vm: &str, iface: &str) -> MacAddress {
    let hash = hash(&["mac", network.as_str(), scope, vm, iface]);
    MacAddress::local(hash[..5].try_into().expect("a SHA-256 has 32 bytes"))
}

/// The hardware address of the bridge, which then does not change with the links on it.
#[must_use]
pub fn bridge_mac(network: &InterfaceName) -> MacAddress {
    let hash = hash(&["bridge", network.as_str()]);
    MacAddress::local(hash[..5].try_into().expect("a SHA-256 has 32 bytes"))
}

/// The hardware address of the host's end of every interface of the network. Nobody sends to it or from it.
///
/// That it is the same for all keeps the bridge's list of its own addresses short: the kernel goes through
/// it for each link that joins. That it is as high as can be keeps the address of an adopted bridge as it
/// was, which takes the lowest of its links unless it was given one.
#[must_use]
pub fn port_mac(network: &InterfaceName) -> MacAddress {
    let hash = hash(&["port", network.as_str()]);
    let [a, b, c, d, e] = hash[..5].try_into().expect("a SHA-256 has 32 bytes");
    MacAddress::new([0xfe, a, b, c, d, e]).expect("it is neither zero nor of a group")
}

/// Says at the link itself whose it is.
#[must_use]
pub fn alias(network: &InterfaceName, vm: &str, iface: &str) -> String {
    let mut alias = format!("smartvm:{network}:{vm}:{iface}");
    // The kernel takes 255 bytes. Ids are far shorter and ASCII.
    while alias.len() > 255 {
        alias.pop();
    }
    alias
}

/// The alias of a bridge that we made.
#[must_use]
pub fn bridge_alias(network: &InterfaceName) -> String {
    format!("smartvm:{network}")
}

/// The alias of a WireGuard interface that we made, once it is as its configuration says.
#[must_use]
pub fn wireguard_alias(network: &InterfaceName, digest: &str) -> String {
    format!("smartvm:{network}:wireguard:{digest}")
}

fn hash(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        // Lengths tell ("ab", "c") from ("a", "bc").
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_the_same_each_time_and_unique_to_vm_interface_and_owner() {
        let network = InterfaceName::default_bridge();
        let mut taps = BTreeSet::new();
        let mut macs = BTreeSet::new();
        for scope in ["/run/a", "/run/b"] {
            for vm in ["web", "we", "b"] {
                for iface in ["eth0", "beth0", "eth1"] {
                    let (tap, mac) =
                        (tap(&network, scope, vm, iface), mac(&network, scope, vm, iface));
                    assert_eq!(tap, super::tap(&network, scope, vm, iface));
                    assert_eq!(tap.as_str().len(), 15);
                    assert_eq!(mac.octets()[0] & 3, 2, "local and of one card");
                    assert!(taps.insert(tap) && macs.insert(mac));
                }
            }
        }
    }

    #[test]
    fn a_link_group_is_never_that_of_other_links() {
        for name in ["svbr0", "a", "br-1"] {
            let name = name.parse().unwrap();
            let (taps, wireguard) = (link_group(&name), wireguard_group(&name));
            let dying = dying_group(&name);
            assert!(taps != wireguard && taps != dying && dying != wireguard);
            for group in [taps, wireguard, dying] {
                assert!(group >= 0x4000_0000 && i32::try_from(group).is_ok());
            }
        }
    }

    #[test]
    fn an_alias_fits_the_kernel() {
        assert_eq!(
            alias(&InterfaceName::default_bridge(), "web", "eth0"),
            "smartvm:svbr0:web:eth0"
        );
        assert_eq!(alias(&InterfaceName::default_bridge(), &"é".repeat(400), "eth0").len(), 254);
    }
}
