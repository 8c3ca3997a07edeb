//! Network devices that are made for a VM, in a namespace that stands in for the host.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use smartvm::NetworkInterfaceConfig;
use smartvm_network::policy::FirewallConfig;
use smartvm_network::{Network, NetworkReport};
use smartvm_testkit::tiny_guest::TinyGuest;
use smartvm_testkit::{NetNamespace, TestHome, eventually, fixtures};

use crate::support::Bench;

pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct Host {
    pub(crate) namespace: NetNamespace,
    pub(crate) home: TestHome,
}

impl Host {
    pub(crate) fn new() -> Self {
        let host = Self { namespace: NetNamespace::new(), home: TestHome::new() };
        TinyGuest::halts().write_to(&host.home.path().join("guest")).unwrap();
        host
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(fixtures::command());
        command
            .args(words)
            .arg("--data-dir")
            .arg(self.home.data_dir())
            .arg("--runtime-dir")
            .arg(self.home.runtime_dir())
            .arg("--network-dir")
            .arg(self.home.path().join("net"))
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, id: &str, words: &[&str]) -> Child {
        let kernel = self.home.path().join("guest");
        let mut command = self.command(&["run", "--memory", "32", "--id", id]);
        command.args(words).arg("--kernel").arg(kernel);
        command.arg("--firecracker").arg(fixtures::firecracker());
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        self.namespace.run(move || command.spawn().unwrap())
    }

    pub(crate) fn net(&self, words: &[&str]) -> Value {
        let mut command = self.command(&[&["net"], words, &["--json"]].concat());
        let done = self.namespace.run(move || command.output().unwrap());
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
        serde_json::from_slice(&done.stdout).unwrap()
    }

    /// The network devices of VMs.
    fn guests(&self) -> Vec<Value> {
        self.net(&["list"]).as_array().unwrap().clone()
    }

    /// Waits until Firecracker has opened the VM's TAP.
    pub(crate) fn up(&self, id: &str) -> Value {
        eventually(DEADLINE, "the VM has its network", || {
            let guest = self.guests().into_iter().find(|guest| guest["vm"] == id)?;
            let tap = guest["tap"].as_str().unwrap().to_owned();
            let link = self.namespace.ip("-br link");
            let line = link.lines().find(|line| line.starts_with(&tap))?.to_owned();
            line.contains("LOWER_UP").then_some(guest)
        })
    }

    pub(crate) fn links(&self) -> Vec<String> {
        let text = self.namespace.ip("-br link");
        text.lines().filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect()
    }

    fn assert_clean(&self) {
        assert_eq!(self.links(), ["lo"]);
        assert_eq!(self.namespace.command("nft list ruleset"), "");
        assert_eq!(self.namespace.command("sysctl -n net.ipv4.ip_forward").trim(), "0");
    }
}

fn interrupt(child: &Child) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
}

/// Ends a `smartvm run`, whose guest knows no Ctrl-Alt-Del.
pub(crate) fn end(child: &mut Child) {
    eventually(DEADLINE, "the command has ended", || {
        interrupt(child);
        child.try_wait().unwrap()
    });
}

#[test]
fn a_vm_gets_a_tap_of_its_own_that_only_its_jail_may_open_and_it_goes_with_the_vm() {
    let host = Host::new();
    let firewall = host.home.path().join("egress.json");
    fs_err::write(&firewall, r#"{"egress":{"defaultAction":"deny"}}"#).unwrap();
    let firewall = firewall.to_str().unwrap();
    let words = ["--network", "eth0", "--publish", "8080:80", "--firewall", firewall];
    let mut child = host.run("web", &words);
    let guest = host.up("web");
    assert_eq!(guest["address"], "172.30.0.2");
    assert_eq!(guest["published"][0]["hostPort"], 8080);
    let tap = guest["tap"].as_str().unwrap();
    let details = host.namespace.ip(&format!("-d link show {tap}"));
    for part in ["master svbr0", "isolated on", "alias smartvm:svbr0:web:eth0", "user 19000"] {
        assert!(details.contains(part), "{part}: {details}");
    }
    let status = host.net(&["status"]);
    assert_eq!((&status[0]["rulesInForce"], &status[0]["bridgeUp"]), (&true.into(), &true.into()));
    let rules = host.net(&["rules", "web"]);
    assert_eq!(rules[0]["own"][0]["action"], "deny");
    assert_eq!(host.net(&["firewall", "web", "--none"])["cut"], 0);
    assert_eq!(host.net(&["rules", "web"])[0]["own"], Value::Null);
    host.namespace.command("nft flush ruleset");
    eventually(DEADLINE, "the command puts the rules back", || {
        (host.net(&["status"])[0]["rulesInForce"] == true).then_some(())
    });
    assert_eq!(host.net(&["reload"])["reloaded"][0], "svbr0");
    assert_eq!(host.net(&["status"])[0]["rulesInForce"], true);
    // What has a living owner is not removed.
    let removed = host.net(&["gc"]);
    assert_eq!(removed["interfaces"], serde_json::json!([]));
    end(&mut child);
    host.assert_clean();
}

#[test]
fn the_firewall_of_a_vm_that_runs_is_changed_by_its_handle() {
    let namespace = NetNamespace::new();
    // For good: what this test starts is to be there as well.
    namespace.enter();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let home = TestHome::new();
    let state_dir = home.path().join("net");
    runtime.block_on(async {
        let bench = Bench::with(|options| options.network_state_dir.clone_from(&state_dir));
        let firewall = |text: &str| -> FirewallConfig {
            serde_json::from_str(&format!(r#"{{"egress":{text}}}"#)).unwrap()
        };
        let mut config = bench.config(&TinyGuest::halts());
        let device = |id: &str| NetworkInterfaceConfig {
            iface_id: id.to_owned(),
            ..NetworkInterfaceConfig::default()
        };
        config.network_interfaces = vec![device("eth0"), device("eth1")];
        config.network_interfaces[0].firewall = Some(firewall(r#"{"defaultAction":"deny"}"#));
        let vm = bench.smartvm.create_vm(&config).unwrap();
        let policies = || {
            let reports = NetworkReport::all(&state_dir).unwrap();
            let [report] = &reports[..] else { panic!("one network") };
            assert!(report.rules_in_force, "{:?}", report.rules_problem);
            ["eth0", "eth1"].map(|iface| {
                let guest = report.guests.iter().find(|guest| guest.iface == iface).unwrap();
                report.policies(guest).unwrap().own.map(|rules| rules.len())
            })
        };
        let wide = firewall(r#"{"rules":[{"action":"deny","to":"10.0.0.0/8"}]}"#);
        let refused = vm.set_firewall("eth0", Some(&wide)).await.unwrap_err();
        assert_eq!(refused.code(), "INVALID_STATE");
        vm.start().await.unwrap();
        assert_eq!(policies(), [Some(1), None]);
        assert_eq!(vm.set_firewall("eth0", Some(&wide)).await.unwrap(), 0);
        assert_eq!(vm.set_firewall("eth1", Some(&wide)).await.unwrap(), 0);
        assert_eq!(policies(), [Some(2), Some(2)]);
        vm.pause().await.unwrap();
        assert_eq!(vm.set_firewall("eth0", None).await.unwrap(), 0);
        assert_eq!(policies(), [None, Some(2)]);
        let refused = vm.set_firewall("eth2", None).await.unwrap_err();
        assert_eq!(refused.code(), "NO_SUCH_DEVICE");
        let wrong = firewall(r#"{"rules":[{"action":"deny","to":"nowhere"}]}"#);
        let refused = vm.set_firewall("eth0", Some(&wrong)).await.unwrap_err();
        assert_eq!(refused.code(), "INVALID_FIREWALL_CONFIG");
        // Somebody removed the interface behind our back.
        let record = &NetworkReport::all(&state_dir).unwrap()[0];
        for guest in &record.guests {
            Network::remove_interface(&state_dir, &record.network.bridge, &guest.tap).unwrap();
        }
        let refused = vm.set_firewall("eth0", None).await.unwrap_err();
        assert_eq!(refused.code(), "NO_SUCH_INTERFACE");
        assert!(refused.to_string().contains("eth0"), "{refused}");
        vm.cleanup().await.unwrap();
    });
    // The network goes with the last that knows its manager: the VM's task.
    drop(runtime);
    let links = namespace.ip("-br link");
    assert!(links.starts_with("lo ") && links.lines().count() == 1, "{links}");
    assert_eq!(namespace.command("nft list ruleset"), "");
}

#[test]
fn vms_of_several_commands_share_a_network_that_goes_with_the_last() {
    let host = Host::new();
    let mut one = host.run("one", &["--network", "eth0"]);
    let first = host.up("one");
    let mut two = host.run("two", &["--network", "eth0", "--network", "eth1"]);
    let second = host.up("two");
    assert_ne!(first["address"], second["address"]);
    assert_eq!(host.guests().len(), 3);
    end(&mut one);
    assert_eq!(host.guests().len(), 2);
    assert!(host.links().iter().any(|name| name == "svbr0"));
    end(&mut two);
    host.assert_clean();
}

#[test]
fn what_a_killed_command_left_of_its_network_goes_with_the_next_one() {
    let host = Host::new();
    let mut child = host.run("web", &["--network", "eth0", "--publish", "8080:80"]);
    host.up("web");
    child.kill().unwrap();
    child.wait().unwrap();
    let mut next = host.run("next", &["--network", "eth0", "--publish", "8080:80"]);
    host.up("next");
    assert_eq!(host.guests().len(), 1);
    next.kill().unwrap();
    next.wait().unwrap();
    // Without another start: the command for it. Firecracker dies a moment after its owner.
    eventually(DEADLINE, "all that was left is removed", || {
        host.net(&["gc"]);
        (host.links() == ["lo"]).then_some(())
    });
    host.assert_clean();
    // The files of the VM go with any manager.
    let mut last = host.run("last", &["--network", "eth0"]);
    host.up("last");
    end(&mut last);
}

#[test]
fn a_start_that_is_refused_leaves_nothing() {
    let host = Host::new();
    let refused = |words: &[&str], code: &str| {
        let child = host.run("web", &[words, &["--json"]].concat());
        let done = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        let said: Value = serde_json::from_str(said.trim()).unwrap();
        assert_eq!(said["error"]["code"], code, "{said}");
        host.assert_clean();
    };
    refused(&["--network", "eth0,ip=10.0.0.1"], "INVALID_IP");
    refused(&["--network", "eth0", "--publish", "203.0.113.1:80:80"], "PORT_UNAVAILABLE");
    refused(&["--network", "eth0", "--bridge", "lo"], "BRIDGE_UNUSABLE");
    refused(&["--network", "eth0", "--subnet", "127.0.0.0/24"], "INVALID_SUBNET");
    refused(&["--publish", "80:80"], "USAGE");
}

#[test]
fn another_firewall_that_stops_guests_is_told_of_with_what_mends_it() {
    let host = Host::new();
    for rules in [
        "add table inet theirs",
        "add chain inet theirs forward { type filter hook forward priority 0 ; policy drop ; }",
    ] {
        host.namespace.command(&format!("nft {rules}"));
    }
    let output = |words: &[&str]| {
        let mut command = host.command(words);
        let done = host.namespace.run(move || command.output().unwrap());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&done.stdout), text(&done.stderr))
    };
    let doctor = || {
        let report: Value = serde_json::from_str(&output(&["doctor", "--json"]).0).unwrap();
        let mut checks = report["checks"].as_array().unwrap().iter();
        checks.find(|check| check["id"] == "foreign-firewalls").unwrap().clone()
    };
    // Before there is a network: what would be made.
    assert_eq!(doctor()["status"], "warn");
    let mut child = host.run("web", &["--network", "eth0"]);
    host.up("web");
    let block = host.net(&["status"])[0]["foreignBlocks"][0].clone();
    assert_eq!((&block["program"], &block["chain"]), (&"other".into(), &"forward".into()));
    assert_eq!(block["stops"], serde_json::json!(["connections", "answers"]));
    let remedies = block["remedies"].as_array().unwrap();
    let remedies: Vec<_> = remedies.iter().map(|it| it.as_str().unwrap()).collect();
    assert_eq!(remedies[0], "nft insert rule inet theirs forward iifname svbr0 accept");
    let (_, said) = output(&["net", "status"]);
    let check = doctor();
    for remedy in &remedies {
        assert!(said.contains(remedy), "{said}");
        assert!(check["remedy"].as_str().unwrap().contains(remedy), "{check}");
    }
    for remedy in &remedies {
        host.namespace.command(remedy);
    }
    assert_eq!(host.net(&["status"])[0]["foreignBlocks"], serde_json::json!([]));
    assert_eq!(doctor()["status"], "pass");
    end(&mut child);
    // It was said once, when the network was made.
    let said = child.wait_with_output().unwrap().stderr;
    let said = String::from_utf8_lossy(&said);
    assert_eq!(said.matches("inet theirs forward of another program stops").count(), 1, "{said}");
    assert!(said.contains(remedies[0]), "{said}");
    host.namespace.command("nft delete table inet theirs");
    host.assert_clean();
}
