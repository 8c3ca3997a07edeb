//! Who asked for what is written down.

use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::time::Duration;

use smartvm::VmConfig;
use smartvm::audit::{AuditEntry, AuditLog, AuditWay, read_audit};
use smartvm::control::{ControlCall, ControlClient};
use smartvm_testkit::fixtures;
use smartvm_testkit::tiny_guest::TinyGuest;

use crate::support::Bench;

fn entries(bench: &Bench) -> Vec<AuditEntry> {
    read_audit(&AuditLog::dir(bench.home.data_dir()), |_| true).unwrap()
}

/// What was asked for and how it went, in order.
fn ends(entries: &[AuditEntry]) -> Vec<(&str, &str)> {
    let ends = entries.iter().filter_map(|it| Some((&*it.action, it.outcome.as_deref()?)));
    ends.collect()
}

const SECRET: &str = "hunter2";

/// A VM whose configuration has a secret.
fn secretive(bench: &Bench) -> VmConfig {
    let mut config = bench.config(&TinyGuest::halts());
    config.id = Some("web".to_owned());
    config.boot_source.boot_args = Some(format!("token={SECRET}"));
    config
}

#[tokio::test]
async fn each_request_is_written_down_with_who_asked_and_how_it_went_and_without_secrets() {
    let bench = Bench::with(|options| options.audit = Some(true));
    let vm = bench.smartvm.create_vm(&secretive(&bench)).unwrap();
    vm.pause().await.unwrap_err();
    vm.start().await.unwrap();
    let server = vm.serve_control().unwrap();
    let mut client =
        ControlClient::connect(bench.home.runtime_dir(), &"web".parse().unwrap()).await.unwrap();
    client.call(&ControlCall::Pause, Duration::from_secs(10)).await.unwrap();
    drop(server);
    vm.resume().await.unwrap();
    vm.kill().await.unwrap();
    bench.smartvm.cleanup().await.unwrap();

    let entries = entries(&bench);
    assert_eq!(
        ends(&entries),
        [
            ("pause", "INVALID_STATE"),
            ("start", "ok"),
            ("pause", "ok"),
            ("resume", "ok"),
            ("ended", "killed"),
            ("kill", "ok"),
            ("stop", "ok"),
            ("cleanup", "ok"),
        ]
    );
    let us = (rustix::process::getuid().as_raw(), std::process::id());
    assert!(entries.iter().all(|it| (it.uid, it.pid) == us && it.vm.as_deref() == Some("web")));
    let outside = entries.iter().filter(|it| it.way == AuditWay::ControlSocket);
    assert_eq!(outside.map(|it| &*it.action).collect::<Vec<_>>(), ["pause", "pause"]);
    let file = AuditLog::dir(bench.home.data_dir()).join("audit.jsonl");
    assert_eq!(fs_err::metadata(&file).unwrap().mode() & 0o777, 0o600);
    assert!(!fs_err::read_to_string(&file).unwrap().contains(SECRET));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_for_a_connection_to_the_guest_is_written_down() {
    let bench = Bench::with(|options| options.audit = Some(true));
    let vm = bench.started(&TinyGuest::halts()).await;
    vm.connect_guest(1023).await.unwrap_err();
    vm.cleanup().await.unwrap();
    let entries = entries(&bench);
    let asked = entries.iter().find(|it| it.action == "connect-guest").unwrap();
    assert_eq!((asked.detail.as_deref(), asked.pid), (Some("1023"), std::process::id()));
    assert!(ends(&entries).contains(&("connect-guest", "NO_VSOCK")));
}

#[tokio::test]
async fn nothing_is_written_down_where_it_is_turned_off() {
    let bench = Bench::with(|options| options.audit = Some(false));
    bench.next_start_works().await;
    assert!(!AuditLog::dir(bench.home.data_dir()).exists());
}

#[tokio::test]
async fn the_command_writes_down_what_it_asks_of_firecracker_itself_and_prints_it() {
    let bench = Bench::with(|options| options.audit = Some(true));
    let vm = bench.smartvm.create_vm(&secretive(&bench)).unwrap();
    vm.start().await.unwrap();
    let command = |words: &[&str]| {
        let mut command = Command::new(fixtures::command());
        command.args(words).arg("--data-dir").arg(bench.home.data_dir());
        command.arg("--runtime-dir").arg(bench.home.runtime_dir()).arg("--audit").arg("on");
        command.output().unwrap()
    };
    let body = format!("{{\"vcpu_count\": \"{SECRET}\"}}");
    let asked = command(&["api", "web", "PATCH", "/machine-config?x=hunter2", &body]);
    assert!(!asked.status.success());
    let said = command(&["audit", "web", "--since", "1h"]);
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("api PATCH /machine-config: API_"), "{said}");
    assert!(!said.contains(SECRET), "{said}");
    let json = command(&["audit", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let api = json.as_array().unwrap().iter().find(|it| it["action"] == "api").unwrap();
    assert_eq!((&api["vm"], &api["phase"]), (&"web".into(), &"asked".into()));
    assert_ne!(api["pid"], std::process::id());
    vm.cleanup().await.unwrap();
}
