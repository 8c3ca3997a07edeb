//! Addresses of the public network, and nothing else.
//!
//! What a server of the public network names is fetched by us, who may reach what that server cannot: the host itself,
//! its neighbours, the metadata of a cloud. So such an address must be https, and each name in it, those of redirects
//! included, must resolve to public addresses alone. The addresses that were looked at are the ones that are connected
//! to: a name that resolves to something else a moment later changes nothing.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;
use url::{Host, Url};

/// What is not of the public network.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum NotPublic {
    #[error("it is not https")]
    NotHttps,
    #[error("{0} is not a public address")]
    Address(IpAddr),
    #[error("the name `{name}` resolves to {address}, which is not a public address")]
    Name { name: String, address: IpAddr },
}

impl NotPublic {
    /// The reason among the sources of an error.
    pub(super) fn in_sources_of<'a>(
        error: &'a (dyn std::error::Error + 'static),
    ) -> Option<&'a Self> {
        // An I/O error's source is that of what it holds, so what it holds would be passed over.
        if let Some(held) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            return Self::in_sources_of(held);
        }
        error.downcast_ref().or_else(|| error.source().and_then(Self::in_sources_of))
    }
}

/// Looks at what can be seen of an address before its name is resolved.
pub(super) fn check(url: &Url) -> Result<(), NotPublic> {
    if url.scheme() != "https" {
        return Err(NotPublic::NotHttps);
    }
    let literal = match url.host() {
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip),
        Some(Host::Domain(_)) | None => return Ok(()),
    };
    if is_public(literal) { Ok(()) } else { Err(NotPublic::Address(literal)) }
}

/// Resolves names by the system, and those alone that have public addresses alone.
#[derive(Debug)]
pub(super) struct PublicNames;

impl Resolve for PublicNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            check_addresses(name.as_str(), &found)?;
            Ok::<Addrs, _>(Box::new(found.into_iter()))
        })
    }
}

fn check_addresses(name: &str, found: &[SocketAddr]) -> Result<(), NotPublic> {
    match found.iter().map(SocketAddr::ip).find(|address| !is_public(*address)) {
        None => Ok(()),
        Some(address) => Err(NotPublic::Name { name: name.to_owned(), address }),
    }
}

/// Whether a document that came from `from`, under `url`, was written by somebody of the public network. When that
/// cannot be told, as through a proxy, it was.
pub(crate) async fn is_of_the_public(url: &Url, from: Option<IpAddr>) -> bool {
    if from.is_none_or(is_public) {
        return true;
    }
    match url.host() {
        Some(Host::Ipv4(ip)) => is_public(ip.into()),
        Some(Host::Ipv6(ip)) => is_public(ip.into()),
        Some(Host::Domain(name)) => match tokio::net::lookup_host((name, 0)).await {
            Ok(mut found) => found.any(|address| is_public(address.ip())),
            Err(_) => true,
        },
        None => true,
    }
}

/// Whether everybody may have a host at an address: none of IANA's registries of special addresses has it.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(a == 0
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || (a == 100 && b & 0xc0 == 64)
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && b & 0xfe == 18)
        // Multicast, what is reserved, and all at once.
        || a >= 224)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    if let Some(within) = address.to_ipv4_mapped() {
        return is_public_v4(within);
    }
    // A translator makes an IPv4 address of it, whichever.
    if (first, second) == (0x64, 0xff9b) {
        let [.., a, b, c, d] = address.octets();
        return address.segments()[2..6] == [0; 4] && is_public_v4([a, b, c, d].into());
    }
    // 2000::/3 is what has been given to anybody, less what is for protocols, documents and 6to4.
    first & 0xe000 == 0x2000
        && !(first == 0x2001 && second < 0x200)
        && (first, second) != (0x2001, 0xdb8)
        && first != 0x2002
        && first & 0xfff0 != 0x3ff0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_special_address_is_public() {
        for address in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "::7f00:1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "1.1.1.1",
            "100.63.0.1",
            "100.128.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn an_address_is_https_and_no_number_of_a_private_host() {
        let check = |url: &str| check(&url.parse().unwrap());
        check("https://images.example/kernel").unwrap();
        check("https://1.1.1.1/kernel").unwrap();
        assert_eq!(check("http://images.example/kernel"), Err(NotPublic::NotHttps));
        for host in ["127.0.0.1", "2130706433", "0x7f.1", "[::1]", "[::ffff:169.254.169.254]"] {
            let found = check(&format!("https://{host}/kernel"));
            assert!(matches!(found, Err(NotPublic::Address(_))), "{host}: {found:?}");
        }
    }

    #[test]
    fn a_name_with_one_private_address_among_public_ones_is_refused() {
        let address = |text: &str| SocketAddr::new(text.parse().unwrap(), 0);
        check_addresses("a", &[address("1.1.1.1"), address("2606:4700::1111")]).unwrap();
        let both = [address("1.1.1.1"), address("10.0.0.1")];
        let refused = check_addresses("evil.example", &both).unwrap_err();
        assert!(refused.to_string().contains("`evil.example` resolves to 10.0.0.1"), "{refused}");
    }

    #[tokio::test]
    async fn a_document_is_of_the_public_unless_it_and_its_address_are_private() {
        let public = async |url: &str, from: Option<&str>| {
            let from = from.map(|from| from.parse().unwrap());
            is_of_the_public(&url.parse().unwrap(), from).await
        };
        assert!(public("https://images.example/", Some("1.1.1.1")).await);
        assert!(public("http://10.0.0.1/", None).await);
        // A proxy.
        assert!(public("https://1.1.1.1/", Some("10.0.0.1")).await);
        assert!(!public("http://10.0.0.1/", Some("10.0.0.1")).await);
        assert!(!public("http://localhost/", Some("127.0.0.1")).await);
    }
}
