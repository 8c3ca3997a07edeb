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
