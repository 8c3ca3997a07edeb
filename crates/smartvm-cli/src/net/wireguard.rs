//! How `smartvm net status` tells of a way out through WireGuard.

use std::time::UNIX_EPOCH;

use smartvm_network::NetworkReport;
use smartvm_network::wireguard::{WireGuardPeerReport, WireGuardRecord};

/// The lines about it; none without it.
pub(super) fn describe(report: &NetworkReport) -> Vec<String> {
    let Some(wanted) = &report.network.wireguard else { return Vec::new() };
    let state = report.wireguard_state.as_ref();
    let ready = state.is_some_and(|state| state.ready);
    let mut lines =
        vec![format!("  only out of {}: {}", wanted.interface, standing(wanted, ready))];
    let now = UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    let peers = state.map(|state| &state.peers[..]).unwrap_or_default();
    lines.extend(peers.iter().map(|peer| describe_peer(peer, now)));
    lines
}

fn standing(wanted: &WireGuardRecord, ready: bool) -> String {
    match (ready, wanted.fail_closed) {
        (true, _) => format!("ready, table {}", wanted.route_table),
        (false, true) => "NOT READY, so nothing leaves".to_owned(),
        (false, false) => "NOT READY, so packets leave another way".to_owned(),
    }
}

fn describe_peer(peer: &WireGuardPeerReport, now: u64) -> String {
    let handshake = match peer.latest_handshake {
        None => "no handshake yet".to_owned(),
        Some(at) => format!("handshake {} s ago", now.saturating_sub(at)),
    };
    let endpoint = peer.endpoint.map_or_else(|| "nowhere yet".to_owned(), |it| it.to_string());
    let (received, sent) = (peer.rx_bytes, peer.tx_bytes);
    format!(
        "    peer {} at {endpoint}: {handshake}, {received} bytes in, {sent} out",
        peer.public_key
    )
}

/// Whether a person should be told to mend it.
pub(super) fn is_broken(report: &NetworkReport) -> bool {
    let state = report.wireguard_state.as_ref();
    report.network.wireguard.is_some() && !state.is_some_and(|state| state.ready)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_told_with_its_handshake_and_transfer() {
        let peer = WireGuardPeerReport {
            public_key: "xTIB=".to_owned(),
            endpoint: Some(([203, 0, 113, 10], 51820).into()),
            allowed_ips: Vec::new(),
            latest_handshake: Some(88),
            rx_bytes: 10,
            tx_bytes: 20,
            persistent_keepalive: 0,
        };
        assert_eq!(
            describe_peer(&peer, 100),
            "    peer xTIB= at 203.0.113.10:51820: handshake 12 s ago, 10 bytes in, 20 out"
        );
        let peer = WireGuardPeerReport { endpoint: None, latest_handshake: None, ..peer };
        assert!(describe_peer(&peer, 100).contains("at nowhere yet: no handshake yet"));
    }

    #[test]
    fn what_is_not_ready_says_what_that_means() {
        let mut wanted = WireGuardRecord {
            interface: "svwg0".parse().unwrap(),
            route_table: 51820,
            fail_closed: true,
            managed: None,
        };
        assert_eq!(standing(&wanted, true), "ready, table 51820");
        assert!(standing(&wanted, false).contains("nothing leaves"));
        wanted.fail_closed = false;
        assert!(standing(&wanted, false).contains("another way"));
    }
}
