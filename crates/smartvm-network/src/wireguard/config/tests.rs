//! The rules of the text, the TypeScript original's cases among them.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::wireguard::key::{PublicKey, SecretKey};

const PRIVATE: &str = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
const PUBLIC: &str = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
const SHARED: &str = "FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE=";

/// The configuration of the TypeScript original's test, with keys in place of its placeholders.
fn whole() -> String {
    format!(
        "
# comments are ignored
[Interface]
PrivateKey = {PRIVATE}
Address = 10.70.0.2/32
DNS = 1.1.1.1
MTU = 1420
Table = off

[Peer]
PublicKey = {PUBLIC}
AllowedIPs = 0.0.0.0/0
Endpoint = 203.0.113.10:51820
PersistentKeepalive = 25
"
    )
}

/// An interface section with `more` lines from line 4 on.
fn with(more: &str) -> String {
    format!("[Interface]\nPrivateKey = {PRIVATE}\nAddress = 10.70.0.2/32\n{more}")
}

/// The same with a peer; `more` begins at line 6.
fn with_peer(more: &str) -> String {
    with(&format!("[Peer]\nPublicKey = {PUBLIC}\n{more}"))
}

#[track_caller]
fn breaches(text: &str) -> Vec<(Option<usize>, ConfigRule)> {
    let error = WireGuardConfig::parse(text).expect_err(text);
    assert_eq!(error.code(), "INVALID_WIREGUARD_CONFIG");
    error.breaches().iter().map(|breach| (breach.line, breach.rule)).collect()
}

#[track_caller]
fn rule_of(text: &str) -> ConfigRule {
    let breaches = breaches(text);
    assert_eq!(breaches.len(), 1, "{text}: {breaches:?}");
    breaches[0].1
}

#[test]
fn a_managed_configuration_is_read() {
    let config = WireGuardConfig::parse(&whole()).unwrap();
    assert_eq!(config.private_key, PRIVATE.parse::<SecretKey>().unwrap());
    assert_eq!(config.addresses, ["10.70.0.2/32".parse().unwrap()]);
    assert_eq!((config.mtu, config.listen_port, config.firewall_mark), (Some(1420), None, None));
    let [peer] = &config.peers[..] else { panic!("{config:?}") };
    assert_eq!(peer.public_key, PUBLIC.parse::<PublicKey>().unwrap());
    assert_eq!(peer.allowed_ips, ["0.0.0.0/0".parse().unwrap()]);
    assert_eq!(peer.endpoint.as_ref().unwrap().to_string(), "203.0.113.10:51820");
    assert_eq!((peer.persistent_keepalive, &peer.preshared_key), (Some(25), &None));
}

#[test]
fn every_field_is_read_whatever_its_case_and_spacing() {
    let text = format!(
        "[INTERFACE] # ours\r\n\
         privatekey={PRIVATE}\r\n\
         ADDRESS = 10.0.0.2/24, 10.0.1.2 ; two\r\n\
         Address=10.0.2.2/16,\r\n\
         \tListenPort\t=\t51820\r\n\
         FWMARK = 0xcafe\r\n\
         [peer];x\r\n\
         ; nothing\r\n\
         [Peer]\r\n\
         PublicKey = {PUBLIC}\r\n\
         PresharedKey = {SHARED} # shared\r\n\
         AllowedIPs = 10.9.8.7/8\r\n\
         AllowedIPs = 192.0.2.1 , 198.51.100.0/24\r\n\
         Endpoint = [2001:db8::1]:443\r\n\
         PersistentKeepalive = off"
    )
    .replace("[peer];x", "[Interface]");
    let config = WireGuardConfig::parse(&text).unwrap();
    let nets = |nets: &[ipnet::Ipv4Net]| nets.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(nets(&config.addresses), ["10.0.0.2/24", "10.0.1.2/32", "10.0.2.2/16"]);
    assert_eq!((config.listen_port, config.firewall_mark), (Some(51820), Some(0xcafe)));
    let [peer] = &config.peers[..] else { panic!("{config:?}") };
    assert_eq!(peer.preshared_key, Some(SHARED.parse::<SecretKey>().unwrap()));
    assert_eq!(nets(&peer.allowed_ips), ["10.0.0.0/8", "192.0.2.1/32", "198.51.100.0/24"]);
    assert_eq!(peer.endpoint.as_ref().unwrap().to_string(), "[2001:db8::1]:443");
    assert_eq!(peer.persistent_keepalive, Some(0));
}

#[test]
fn hooks_are_refused_with_their_line() {
    for hook in ["PreUp", "PostUp", "PreDown", "PostDown", "SaveConfig", "postup"] {
        let text = with(&format!("{hook} = iptables -A OUTPUT -j ACCEPT\n"));
        let error = WireGuardConfig::parse(&text).unwrap_err();
        let [breach] = error.breaches() else { panic!("{error}") };
        assert!(matches!(breach.rule, ConfigRule::Unsafe(_)), "{error}");
        assert_eq!(breach.line, Some(4));
        assert!(error.to_string().contains("line 4: "), "{error}");
        assert!(error.hint().unwrap().contains("hooks"));
    }
    assert!(matches!(rule_of(&with_peer("PostUp = x")), ConfigRule::Unsafe(_)));
}

#[test]
fn ipv6_beside_ipv4_is_left_out_and_alone_refused_for_what_it_is() {
    let lone = |text: &str| format!("[Interface]\nPrivateKey = {PRIVATE}\n{text}\n");
    for text in [
        with_peer("AllowedIPs = ::/0"),
        with_peer("AllowedIPs = fd00::/8, ::/0"),
        lone("Address = fd00::2/64"),
        lone("Address = fd00::2\nAddress = fd00::3/128"),
    ] {
        assert!(matches!(rule_of(&text), ConfigRule::Ipv6(_)), "{text}");
    }
    let config = WireGuardConfig::parse(&with_peer("AllowedIPs = 0.0.0.0/0, ::/0")).unwrap();
    assert_eq!(config.peers[0].allowed_ips, ["0.0.0.0/0".parse().unwrap()]);
    let both = lone("Address = 10.66.0.2/32, fd00::2/128\nAddress = fd00::3/64");
    let config = WireGuardConfig::parse(&both).unwrap();
    assert_eq!(config.addresses, ["10.66.0.2/32".parse().unwrap()]);
    assert!(WireGuardConfig::parse(&with_peer("Endpoint = [2001:db8::1]:1")).is_ok());
}

#[test]
fn the_resolvers_of_the_tunnel_are_those_that_a_guest_can_ask() {
    let text = with("DNS = 10.64.0.1, fd00::1, lan.example\nDNS = 1.1.1.1,127.0.0.1 , 0.0.0.0");
    let config = WireGuardConfig::parse(&text).unwrap();
    assert_eq!(config.dns, [Ipv4Addr::new(10, 64, 0, 1), Ipv4Addr::new(1, 1, 1, 1)]);
}

#[test]
fn what_must_be_there_is_asked_for() {
    for (text, lacking) in [
        ("[Interface]\nAddress = 10.0.0.1\n".to_owned(), "[Interface] must have PrivateKey"),
        (format!("[Interface]\nPrivateKey = {PRIVATE}\n"), "[Interface] must have Address"),
        (with("[Peer]\nAllowedIPs = 0.0.0.0/0"), "line 4: [Peer] must have PublicKey"),
        (String::new(), "the configuration is empty"),
        (" \n# PrivateKey = x\n;\n".to_owned(), "the configuration is empty"),
    ] {
        let error = WireGuardConfig::parse(&text).unwrap_err();
        assert_eq!(error.to_string(), format!("invalid WireGuard configuration: {lacking}"));
    }
    assert_eq!(breaches("[Peer]\n").len(), 3, "no key of the peer, no private key, no address");
    let peers = WireGuardConfig::parse(&with("")).unwrap().peers;
    assert!(peers.is_empty(), "an interface without peers is closed, not wrong");
}

#[test]
fn values_that_are_wrong_are_refused() {
    let bad_values: [(&str, &[&str]); 5] = [
        ("MTU", &["575", "9001", "1420.0", "+1420", "0x590", "big", ""]),
        ("ListenPort", &["-1", "65536", "http", "+1", ""]),
        ("FwMark", &["0x1ffffffff", "4294967296", "0x", "0x+1", "-1", "on", ""]),
        ("PrivateKey", &[""]),
        (
            "Address",
            &[
                "10.0.0.1/33",
                "10.0.0",
                "10.0.0.256",
                "10.0.0.01",
                "10.0x10.0.1",
                "10..0.1/24",
                "10.0.0.1 /24",
                "10.0.0.1/",
                "10.0.0.1/24/8",
                "10.0.0.1/+24",
                "host",
            ],
        ),
    ];
    for (name, values) in bad_values {
        for value in values {
            if name == "PrivateKey" {
                let text = format!("[Interface]\nAddress = 10.0.0.1\n{name} = {value}");
                assert!(matches!(rule_of(&text), ConfigRule::Malformed(_)), "{text}");
            } else {
                let rule = rule_of(&with(&format!("{name} = {value}")));
                assert!(matches!(rule, ConfigRule::Malformed(_)), "{name} = {value}: {rule}");
            }
        }
    }
    let bad_values: [(&str, &[&str]); 4] = [
        ("PresharedKey", &["", "x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]),
        ("AllowedIPs", &["0.0.0.0/33", "all", "+10.0.0.0/8", "10.0.0.0/8 192.0.2.0/24"]),
        ("Endpoint", &["203.0.113.10", "203.0.113.10:0", "[203.0.113.10]:1", "x y:1", ""]),
        ("PersistentKeepalive", &["65536", "-1", "on", ""]),
    ];
    for (name, values) in bad_values {
        for value in values {
            let rule = rule_of(&with_peer(&format!("{name} = {value}")));
            assert!(matches!(rule, ConfigRule::Malformed(_)), "{name} = {value}: {rule}");
        }
    }
    for list in [with("Address ="), with("Address = , ,"), with_peer("AllowedIPs =")] {
        assert!(matches!(rule_of(&list), ConfigRule::NoValue(_)), "{list}");
    }
    for address in ["0.0.0.0", "127.0.0.1", "224.0.0.1/4", "255.255.255.255"] {
        assert_eq!(rule_of(&with(&format!("Address = {address}"))), ConfigRule::NotAssignable);
    }
}

#[test]
fn lines_that_belong_nowhere_are_refused() {
    assert_eq!(rule_of(&with("wrong")), ConfigRule::NotALine);
    assert_eq!(rule_of(&with("[Wrong]")), ConfigRule::NotALine);
    assert!(matches!(rule_of(&with("Jc = 4")), ConfigRule::Unknown(_)));
    assert!(matches!(rule_of(&with(" = 4")), ConfigRule::Unknown(_)));
    assert!(matches!(rule_of(&with("AllowedIPs = 10.0.0.0/8")), ConfigRule::Misplaced(..)));
    assert!(matches!(rule_of(&with_peer("MTU = 1420")), ConfigRule::Misplaced(..)));
    assert_eq!(breaches("MTU = 1420\n")[0], (Some(1), ConfigRule::OutsideSection));
    assert!(WireGuardConfig::parse(&with_peer("DNS = ::1\nTable = auto")).is_ok());
}

#[test]
fn what_has_one_value_has_one() {
    for field in ["MTU = 1420", "ListenPort = 1", "FwMark = off"] {
        let text = with(&format!("{field}\n{field}"));
        assert!(matches!(breaches(&text)[..], [(Some(5), ConfigRule::Repeated(_))]), "{field}");
    }
    let text = with_peer(&format!("PublicKey = {PUBLIC}"));
    assert!(matches!(breaches(&text)[..], [(Some(6), ConfigRule::Repeated(_))]));
    let text = with_peer(&format!("[Peer]\nPublicKey = {PUBLIC}"));
    assert_eq!(breaches(&text), [(Some(6), ConfigRule::SamePeer)]);
    let text = with(&format!("PrivateKey = {PRIVATE}"));
    assert!(matches!(breaches(&text)[..], [(Some(4), ConfigRule::Repeated(_))]));
}

#[test]
fn every_breach_is_reported_at_once() {
    let text = "MTU = 1\n[Interface]\nMTU = 1\nPostUp = x\n[Peer]\nPublicKey = x\nnonsense\n";
    let lines: Vec<_> = breaches(text).iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [Some(1), Some(3), Some(4), Some(6), Some(7), None, None]);
}

#[test]
fn a_text_without_end_is_not_read() {
    let text = "#".repeat(1024 * 1024 + 1);
    assert_eq!(rule_of(&text), ConfigRule::TooLarge { limit: 1024 });
}

#[test]
fn a_value_shows_no_secret() {
    let text = with_peer(&format!("PresharedKey = {SHARED}"));
    let shown = format!("{:?}", WireGuardConfig::parse(&text).unwrap());
    assert!(!shown.contains(&PRIVATE[..20]) && !shown.contains(&SHARED[..20]), "{shown}");
    assert!(shown.contains(PUBLIC), "the public key is none: {shown}");
}

/// Lines around a key, whole or damaged, in places where it must and must not be.
fn line_with_key() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("PrivateKey"),
        Just("PresharedKey"),
        Just("PostUp"),
        Just("Adress"),
        Just("Endpoint"),
        Just("AllowedIPs"),
        Just("MTU"),
        Just(""),
    ];
    let separator = prop_oneof![Just(" = "), Just("="), Just(" "), Just(": ")];
    let damage = prop_oneof![Just(""), Just("x"), Just("="), Just(",")];
    (name, separator, damage)
        .prop_map(|(name, separator, damage)| format!("{name}{separator}{damage}{PRIVATE}{damage}"))
}

proptest! {
    #[test]
    fn no_error_and_no_debug_form_repeats_a_key(
        lines in proptest::collection::vec(line_with_key(), 1..6),
        peer: bool,
    ) {
        let section = if peer { "Peer" } else { "Interface" };
        let text = format!("[{section}]\n{}\n", lines.join("\n"));
        let shown = match WireGuardConfig::parse(&text) {
            Ok(config) => format!("{config:?}"),
            Err(error) => format!("{error} {error:?} {:?}", error.hint()),
        };
        // Any eight characters in a row would narrow the key down.
        for at in 0..PRIVATE.len() - 8 {
            prop_assert!(!shown.contains(&PRIVATE[at..at + 8]), "{}", shown);
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "(\\[(Interface|Peer)\\]|[A-Za-z]{2,10} ?= ?[0-9a-f./:,é#; ]{0,12}|\\PC{0,9}|\n){0,30}") {
        let _ = WireGuardConfig::parse(&text);
    }

    #[test]
    fn what_is_written_is_what_is_read(
        private: [u8; 32],
        addresses in proptest::collection::vec((1..=0xdfff_ffffu32, 0..=32u8), 1..4),
        port: Option<u16>,
        mark: Option<u32>,
        mtu in proptest::option::of(576..=9000u16),
        peers in proptest::collection::btree_map(
            any::<[u8; 32]>(),
            (any::<Option<[u8; 32]>>(), proptest::collection::vec((any::<u32>(), 0..=32u8), 0..4), any::<Option<u16>>()),
            0..4,
        ),
    ) {
        let base64 = |bytes: &[u8; 32]| PublicKey::from_bytes(*bytes).to_string();
        let net = |&(address, prefix): &(u32, u8)| ipnet::Ipv4Net::new(address.into(), prefix).unwrap();
        prop_assume!(private != [0; 32] && addresses.iter().all(|(address, _)| address >> 24 != 127));
        let mut text = format!("[Interface]\nPrivateKey={}\n", base64(&private));
        for address in &addresses {
            writeln!(text, "Address = {}", net(address)).unwrap();
        }
        for (name, value) in [("ListenPort", port.map(u32::from)), ("FwMark", mark), ("MTU", mtu.map(u32::from))] {
            if let Some(value) = value {
                writeln!(text, "{name} = {value}").unwrap();
            }
        }
        for (key, (shared, allowed, keepalive)) in &peers {
            prop_assume!(*key != [0; 32] && *shared != Some([0; 32]));
            writeln!(text, "[Peer]\nPublicKey = {}", base64(key)).unwrap();
            if let Some(shared) = shared {
                writeln!(text, "PresharedKey = {}", base64(shared)).unwrap();
            }
            if !allowed.is_empty() {
                let allowed: Vec<_> = allowed.iter().map(|one| net(one).to_string()).collect();
                writeln!(text, "AllowedIPs = {}", allowed.join(", ")).unwrap();
            }
            if let Some(keepalive) = keepalive {
                writeln!(text, "PersistentKeepalive = {keepalive}").unwrap();
            }
        }
        let config = WireGuardConfig::parse(&text).unwrap();
        prop_assert_eq!(config.private_key.expose(), &private);
        prop_assert_eq!(config.addresses, addresses.iter().map(net).collect::<Vec<_>>());
        prop_assert_eq!((config.listen_port, config.firewall_mark, config.mtu), (port, mark, mtu));
        prop_assert_eq!(config.peers.len(), peers.len());
        for (peer, (key, (shared, allowed, keepalive))) in config.peers.iter().zip(&peers) {
            prop_assert_eq!(peer.public_key.as_bytes(), key);
            prop_assert_eq!(peer.preshared_key.as_ref().map(|key| *key.expose()), *shared);
            let allowed: Vec<_> = allowed.iter().map(|one| net(one).trunc()).collect();
            prop_assert_eq!(&peer.allowed_ips, &allowed);
            prop_assert_eq!(peer.persistent_keepalive, *keepalive);
        }
    }
}
