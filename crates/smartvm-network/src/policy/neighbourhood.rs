//! What is closed to guests because it is near the host, and not because anybody said so.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::cidr::Cidr;

/// Ranges that are nobody's in public: whoever has such an address is a neighbour, of the host or of its network.
const RANGES: [Cidr; 6] = [
    Cidr::new(Ipv4Addr::new(10, 0, 0, 0), 8),
    Cidr::new(Ipv4Addr::new(100, 64, 0, 0), 10),
    Cidr::new(Ipv4Addr::new(169, 254, 0, 0), 16),
    Cidr::new(Ipv4Addr::new(172, 16, 0, 0), 12),
    Cidr::new(Ipv4Addr::new(192, 168, 0, 0), 16),
    Cidr::new(Ipv4Addr::new(224, 0, 0, 0), 4),
];

/// The host's neighbourhood: private, shared, link-local and multicast ranges, and the networks that the host has
/// an address in, of which none meets another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbourhood(BTreeSet<Cidr>);

impl Neighbourhood {
    /// With the networks that the host has an address in.
    #[must_use]
    pub fn new(of_host: impl IntoIterator<Item = Cidr>) -> Self {
        let all: BTreeSet<Cidr> = RANGES.into_iter().chain(of_host).collect();
        let is_within = |inner: &Cidr, outer: &Cidr| {
            outer.prefix() < inner.prefix() && outer.contains(inner.network())
        };
        let alone = |it: &&Cidr| !all.iter().any(|other| is_within(it, other));
        Self(all.iter().filter(alone).copied().collect())
    }

    /// Its ranges, in order.
    pub fn ranges(&self) -> impl Iterator<Item = Cidr> {
        self.0.iter().copied()
    }

    /// Whether an address is in it.
    #[must_use]
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        self.0.iter().any(|range| range.contains(address))
    }
}

impl Default for Neighbourhood {
    /// Of a host that has no public address.
    fn default() -> Self {
        Self::new([])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_within_another_is_left_out_and_none_meets_another() {
        let of = |texts: &[&str]| Neighbourhood::new(texts.iter().map(|it| it.parse().unwrap()));
        assert_eq!(of(&["10.1.0.0/16", "172.30.0.0/24"]), Neighbourhood::default());
        let with = of(&["198.51.100.0/24", "198.51.100.7/32", "192.0.0.0/8"]);
        let ranges: Vec<_> = with.ranges().map(|it| it.to_string()).collect();
        let expected = [
            "10.0.0.0/8",
            "100.64.0.0/10",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/8",
            "198.51.100.0/24",
            "224.0.0.0/4",
        ];
        assert_eq!(ranges, expected);
        assert!(with.contains([192, 168, 0, 1].into()) && !with.contains([1, 1, 1, 1].into()));
    }
}
