use smartvm_network::Subnet;
use smartvm_network::nft::{ForwardHook, LegacyTable};
use smartvm_network::policy::FirewallConfig;
use smartvm_network::wireguard::WireGuardConfig;
use smartvm_testkit::memory::{Bound, assert_reading_is_bounded};

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_file_of_wireguard_takes_memory_as_its_text_does() {
    let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let peer = format!("[Peer]\nPublicKey={key}\nAllowedIPs=10.0.0.0/8\n");
    for (what, begin, each) in [
        ("lines", "", "a\n"),
        ("sections", "", "[Peer]\n"),
        ("peers", "[Interface]\nPrivateKey=x\n", &*peer),
        ("networks", "[Interface]\nAddress = 10.0.0.1", ",10.0.0.1"),
        ("comments", "", "# \n"),
    ] {
        let make = |count| [begin, &each.repeat(count)].concat().into_bytes();
        let read = |bytes: &[u8]| WireGuardConfig::parse(text(bytes)).map_err(|e| e.to_string());
        let bound = Bound { per_byte: 100, fixed: 1 << 20 };
        assert_reading_is_bounded(what, 1000, bound, make, read);
    }
}

#[test]
fn a_firewall_s_file_takes_memory_as_its_text_does() {
    for (what, begin, each, end) in [
        ("keys", "{", "\"a\":1,", "\"b\":1}"),
        ("rules", "{\"rules\":[", "{\"action\":\"allow\"},", "{\"action\":\"allow\"}]}"),
        ("depth", "", "[", ""),
    ] {
        let make = |count| [begin, &each.repeat(count), end].concat().into_bytes();
        let read = |bytes: &[u8]| FirewallConfig::from_json(text(bytes)).map_err(|e| e.to_string());
        let bound = Bound { per_byte: 200, fixed: 1 << 20 };
        assert_reading_is_bounded(what, 1000, bound, make, read);
    }
}

/// An entry of the old iptables that is the beginning of a chain, or a rule that leads to a place.
fn old_entry(chain: Option<&str>, place: u32) -> Vec<u8> {
    let mut bytes = vec![0; 176];
    bytes[88..92].copy_from_slice(&[112, 0, 176, 0]);
    bytes[112] = 64;
    match chain {
        Some(name) => {
            bytes[114..119].copy_from_slice(b"ERROR");
            bytes[144..144 + name.len()].copy_from_slice(name.as_bytes());
        }
        None => bytes[144..148].copy_from_slice(&place.to_ne_bytes()),
    }
    bytes
}

#[test]
fn a_table_of_the_old_iptables_takes_memory_as_its_rules_do() {
    let policy = |entries: &[Vec<u8>]| [old_entry(None, u32::MAX), entries.concat()].concat();
    let chains = |count: usize| {
        let heads = (0..count).map(|index| old_entry(Some(&index.to_string()), 0));
        policy(&heads.collect::<Vec<_>>())
    };
    // Each leads to the next: twice as many ways with every one.
    let ways = |count: usize| {
        let mut entries = Vec::new();
        for index in 0..count {
            entries.push(old_entry(Some(&index.to_string()), 0));
            let next = u32::try_from((index + 1) * 3 * 176 + 176 * 2).unwrap();
            entries.extend([old_entry(None, next), old_entry(None, next)]);
        }
        policy(&entries)
    };
    for (what, make) in [("chains", &chains as &dyn Fn(usize) -> Vec<u8>), ("ways", &ways)] {
        let read = |bytes: &[u8]| {
            // What leads from the hook: the first chain's rules as well, where there are some.
            let hook = ForwardHook { first: 352, policy: 0 };
            let table = LegacyTable::read("filter", hook, bytes.to_vec()).ok_or("no table")?;
            let bridge = "svbr0".parse().unwrap();
            Ok::<_, &str>(table.block(&bridge, Subnet::default(), None, true))
        };
        let bound = Bound { per_byte: 10, fixed: 1 << 20 };
        assert_reading_is_bounded(what, 1000, bound, make, read);
    }
}
