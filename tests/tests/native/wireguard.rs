//! VMs of the command whose only way out is WireGuard, for which a cable stands in.

use serde_json::Value;
use smartvm_testkit::{NetNamespace, eventually};

use crate::managed_network::{DEADLINE, Host, end};

const KEY: &str = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";

/// A host with a cable `wgx0` to another one.
fn host() -> (Host, NetNamespace) {
    let (host, peer) = (Host::new(), NetNamespace::new());
    host.namespace.connect("wgx0", &peer, "tun0");
    host.namespace.ip("addr add 10.70.0.1/24 dev wgx0");
    (host, peer)
}

fn assert_clean(host: &Host) {
    let links = host.links();
    assert!(links.len() == 2 && links[1].starts_with("wgx0"), "{links:?}");
    assert_eq!(host.namespace.command("nft list ruleset"), "");
    assert!(!host.namespace.ip("rule").contains("proto 83"));
    assert!(!host.namespace.ip("route show table all").contains("proto 83"));
}

#[test]
fn a_vm_has_the_only_way_out_that_the_command_was_told_and_status_tells_of_it() {
    let (host, _peer) = host();
    let words = ["--network", "eth0", "--wireguard-interface", "wgx0", "--wireguard-table", "77"];
    let mut child = host.run("web", &words);
    host.up("web");
    let status = host.net(&["status"]);
    assert_eq!(status[0]["onlyOutOf"], "wgx0", "{status}");
    assert_eq!(status[0]["wireguard"]["routeTable"], 77, "{status}");
    assert_eq!(status[0]["wireguardState"]["ready"], true, "{status}");
    assert!(host.namespace.command("nft list ruleset").contains("oifname != \"wgx0\""));
    assert!(host.namespace.ip("rule").contains("from 172.30.0.0/24 lookup 77 proto 83"));
    let told = || {
        let mut command = host.command(&["net", "status"]);
        let done = host.namespace.run(move || command.output().unwrap());
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    assert!(told().contains("only out of wgx0: ready, table 77"), "{}", told());

    // Another command's VM cannot have another way out of the same network.
    let refused = host.run("other", &["--network", "eth0", "--json"]).wait_with_output().unwrap();
    let said: Value = serde_json::from_slice(&refused.stderr).unwrap();
    assert_eq!(said["error"]["code"], "NETWORK_DIFFERS", "{said}");
    assert_eq!(host.net(&["firewall", "web", "--none"])["cut"], 0);

    host.namespace.ip("link set wgx0 down");
    assert!(told().contains("NOT READY, so nothing leaves"), "{}", told());
    host.namespace.ip("link set wgx0 up");
    assert_eq!(host.net(&["reload"])["reloaded"][0], "svbr0");
    assert_eq!(host.net(&["status"])[0]["wireguardState"]["ready"], true);
    end(&mut child);
    assert_clean(&host);
}

#[test]
fn the_locks_stay_when_the_command_is_killed_until_what_it_left_is_removed() {
    let (host, _peer) = host();
    let mut child = host.run("web", &["--network", "eth0", "--wireguard-interface", "wgx0"]);
    host.up("web");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(host.namespace.ip("rule").contains("unreachable proto 83"));
    assert!(host.namespace.command("nft list ruleset").contains("oifname != \"wgx0\""));
    // Firecracker dies a moment after its owner.
    eventually(DEADLINE, "all that was left is removed", || {
        host.net(&["gc"]);
        (host.links().len() == 2).then_some(())
    });
    assert_clean(&host);
    // The files of the VM go with any manager.
    let mut last = host.run("last", &["--network", "eth0", "--wireguard-interface", "wgx0"]);
    host.up("last");
    end(&mut last);
    assert_clean(&host);
}

#[test]
fn a_way_out_that_cannot_be_is_refused_without_a_word_of_the_keys() {
    let (host, _peer) = host();
    let file = host.home.path().join("wg.conf");
    let refused = |config: &str, code: &str| {
        fs_err::write(&file, config).unwrap();
        let words = ["--network", "eth0", "--wireguard", file.to_str().unwrap(), "--json"];
        let done = host.run("web", &words).wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(!said.contains(&KEY[..8]), "{said}");
        let json: Value = serde_json::from_str(said.trim()).unwrap();
        assert_eq!(json["error"]["code"], code, "{said}");
        assert_clean(&host);
        said
    };
    let whole = format!("[Interface]\nPrivateKey = {KEY}\nAddress = 10.70.0.2/32\n");
    let said = refused(&format!("{whole}PostUp = {KEY}\n"), "INVALID_WIREGUARD_CONFIG");
    assert!(said.contains("line 4"), "{said}");
    refused(&format!("{whole}{KEY}\n"), "INVALID_WIREGUARD_CONFIG");
    refused(&whole.replace("= yAnz", "= zz"), "INVALID_WIREGUARD_CONFIG");
    let words = ["--network", "eth0", "--wireguard-interface", "nowhere", "--json"];
    let done = host.run("web", &words).wait_with_output().unwrap();
    let json: Value = serde_json::from_slice(&done.stderr).unwrap();
    assert_eq!(json["error"]["code"], "WIREGUARD_SETUP_FAILED", "{json}");
    assert_clean(&host);
}
