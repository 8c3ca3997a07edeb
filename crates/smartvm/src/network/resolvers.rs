//! Whom guests ask for names.

use std::net::Ipv4Addr;
use std::path::Path;

/// The host's own file, and where the host's resolver on loopback says whom it asks itself.
const FILES: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/// The host's resolvers that a guest can reach: IPv4, and not on the host's loopback. At most two,
/// as a guest's command line has no room for more.
pub(super) fn of_host() -> Vec<Ipv4Addr> {
    let found = FILES.iter().map(|path| read(Path::new(path)));
    found.into_iter().find(|resolvers| !resolvers.is_empty()).unwrap_or_default()
}

fn read(path: &Path) -> Vec<Ipv4Addr> {
    parse(&fs_err::read_to_string(path).unwrap_or_default())
}

fn parse(text: &str) -> Vec<Ipv4Addr> {
    let lines = text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()).flatten()?.parse().ok()
    });
    lines.filter(|address: &Ipv4Addr| !address.is_loopback()).take(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_resolvers_that_a_guest_can_reach_are_taken() {
        let text = "# a\nsearch lan\nnameserver 127.0.0.53\nnameserver ::1\n nameserver 192.0.2.1\n\
                    nameserver\nnameserver x\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n";
        assert_eq!(parse(text), [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2)]);
        assert!(parse("").is_empty());
    }
}
