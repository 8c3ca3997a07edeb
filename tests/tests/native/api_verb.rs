//! `smartvm api`, `smartvm metrics`, and the files of `smartvm run`.

use std::io::{Read, Write};
use std::process::{Child, Stdio};

use rustix::process::Signal;
use serde_json::{Value, json};
use smartvm_testkit::tiny_guest::TinyGuest;

use crate::command::{output, run, running, signal, smartvm};
use crate::support::Bench;

/// What a request says: the exit code and what was printed.
fn api(bench: &Bench, args: &[&str]) -> (Option<i32>, String, String) {
    let (status, out, err) = output(smartvm(bench).args(["api", "tiny"]).args(args));
    (status.status.code(), out, err)
}

fn end(mut owner: Child) {
    signal(&owner, Signal::KILL);
    owner.wait().unwrap();
}

#[test]
fn requests_reach_the_firecracker_of_another_process() {
    let bench = Bench::new();
    let owner = running(&bench);
    let (code, out, err) = api(&bench, &["GET", "/"]);
    assert_eq!(code, Some(0), "{err}");
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&answer["id"], &answer["state"]), (&json!("tiny"), &json!("Running")));
    assert!(out.lines().count() > 3, "for people: {out}");

    let (_, raw, _) = api(&bench, &["get", "/", "--json"]);
    assert_eq!(raw.lines().count(), 1, "for programs: {raw}");
    assert_eq!(serde_json::from_str::<Value>(&raw).unwrap(), answer);

    let (code, out, err) = api(&bench, &["PATCH", "/vm", r#"{"state":"Paused"}"#]);
    assert_eq!((code, out.as_str()), (Some(0), ""), "{err}");
    assert!(err.contains("warning: ") && err.contains("not told"), "{err}");
    let body = bench.file("body.json");
    fs_err::write(&body, r#"{"state":"Resumed"}"#).unwrap();
    let (code, _, err) = api(&bench, &["PATCH", "/vm", &format!("@{}", body.display())]);
    assert_eq!(code, Some(0), "{err}");

    let mut child = smartvm(&bench)
        .args(["api", "tiny", "PUT", "/actions", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(br#"{"action_type":"FlushMetrics"}"#).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    end(owner);
    bench.smartvm.sweep().unwrap();
}

#[test]
fn the_firecracker_of_a_jailed_vm_is_reached_too() {
    let bench = Bench::new();
    let kernel = bench.file("guest");
    TinyGuest::prints("ready\n").write_to(&kernel).unwrap();
    let mut command = smartvm(&bench);
    command.args(["run", "--memory", "32", "--id", "tiny", "--kernel"]).arg(kernel);
    let owner = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut owner = owner.spawn().unwrap();
    owner.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
    let (code, out, err) = api(&bench, &["GET", "/version", "--json"]);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(out, "{\"firecracker_version\":\"1.12.1\"}\n");
    end(owner);
    bench.smartvm.sweep().unwrap();
}

#[test]
fn a_refusal_is_exit_code_1_with_firecrackers_words() {
    let bench = Bench::new();
    let owner = running(&bench);
    let (code, out, err) = api(&bench, &["PUT", "/actions", r#"{"action_type":"InstanceStart"}"#]);
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    assert!(err.contains("not supported after starting"), "{err}");
    let (code, _, err) = api(&bench, &["GET", "/nonsense", "--json"]);
    assert_eq!(code, Some(1));
    assert!(err.contains(r#""code":"API_REFUSED""#), "{err}");
    end(owner);
    bench.smartvm.sweep().unwrap();
}

#[test]
fn a_vm_that_is_not_there_and_one_whose_owner_died_are_told_apart() {
    let bench = Bench::new();
    let (code, _, err) = api(&bench, &["GET", "/"]);
    assert_eq!(code, Some(3), "{err}");
    let owner = running(&bench);
    let (_, _, err) = output(smartvm(&bench).args(["api", "other", "GET", "/"]));
    assert!(err.contains("these run there: tiny"), "{err}");
    end(owner);
    let (code, _, err) = api(&bench, &["GET", "/"]);
    assert_eq!(code, Some(4), "{err}");
    assert!(err.contains("has died"), "{err}");
    bench.smartvm.sweep().unwrap();
}

#[test]
fn a_run_copies_console_log_and_metrics() {
    let bench = Bench::new();
    let at = |name: &str| bench.file(name);
    let mut command = run(&bench, &TinyGuest::prints_then_resets("hello\n"));
    command.arg("--console-log").arg(at("console.log"));
    command.arg("--log").arg(at("fc.log")).arg("--metrics").arg(at("metrics.json"));
    let (status, out, err) = output(&mut command);
    assert_eq!((status.status.code(), out.as_str()), (Some(0), "hello\n"), "{err}");
    assert_eq!(fs_err::read_to_string(at("console.log")).unwrap(), "hello\n");
    assert!(at("fc.log").exists());
    let metrics = fs_err::read_to_string(at("metrics.json")).unwrap();
    let last: Value = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
    assert!(last["put_api_requests"]["boot_source_count"].is_u64(), "{metrics}");
}

#[test]
fn metrics_of_a_running_vm_come_from_its_owner() {
    let bench = Bench::new();
    let owner = running(&bench);
    let metrics = |more: &[&str]| output(smartvm(&bench).args(["metrics", "tiny"]).args(more));
    let (status, out, err) = metrics(&[]);
    assert_eq!(status.status.code(), Some(0), "{err}");
    assert!(out.lines().any(|line| line.starts_with("uart.write_count ")), "{out}");
    let (_, out, _) = metrics(&["--json"]);
    let first: Value = serde_json::from_str(&out).unwrap();
    let count = &first["tiny"]["values"]["put_api_requests.actions_count"];
    assert_eq!(count, &json!({ "kind": "counter", "value": 3 }), "at boot, and twice for us");
    let (_, out, _) = metrics(&["--prometheus"]);
    assert!(out.contains("smartvm_uart_write_count_total{vm=\"tiny\"} "), "{out}");
    let (absent, _, err) = output(smartvm(&bench).args(["metrics", "other"]));
    assert_eq!(absent.status.code(), Some(3), "{err}");
    end(owner);
    bench.smartvm.sweep().unwrap();
}
