//! The `smartvm` command with a guest of a few bytes.

use std::io::Read;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use smartvm_testkit::tiny_guest::TinyGuest;
use smartvm_testkit::{eventually, fixtures};

use crate::support::Bench;

const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) fn smartvm(bench: &Bench) -> Command {
    let mut command = Command::new(fixtures::command());
    command
        .arg("--firecracker")
        .arg(fixtures::firecracker())
        .arg("--data-dir")
        .arg(bench.home.data_dir())
        .arg("--runtime-dir")
        .arg(bench.home.runtime_dir());
    command
}

pub(crate) fn run(bench: &Bench, guest: &TinyGuest) -> Command {
    let kernel = bench.file("guest");
    guest.write_to(&kernel).unwrap();
    let mut command = smartvm(bench);
    command.args(["run", "--no-jail", "--memory", "32", "--id", "tiny", "--kernel"]).arg(kernel);
    command.stdin(Stdio::null());
    command
}

pub(crate) fn output(command: &mut Command) -> (Output, String, String) {
    let output = command.output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, out, err)
}

pub(crate) fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Starts a guest that never ends and waits until it runs.
pub(crate) fn running(bench: &Bench) -> Child {
    let mut child = run(bench, &TinyGuest::prints("ready\n"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0; 6];
    child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    assert_eq!(&ready, b"ready\n");
    child
}

#[test]
fn the_console_is_the_output_and_the_guests_end_the_exit_code() {
    let bench = Bench::new();
    let (status, out, err) = output(&mut run(&bench, &TinyGuest::prints_then_resets("hello\n")));
    assert_eq!((status.status.code(), out.as_str()), (Some(0), "hello\n"), "{err}");
}

#[test]
fn a_report_tells_programs_what_happened() {
    let bench = Bench::new();
    let path = bench.file("report.json");
    let (status, _, err) = output(run(&bench, &TinyGuest::resets()).arg("--report").arg(&path));
    assert_eq!(status.status.code(), Some(0), "{err}");
    let report: serde_json::Value = serde_json::from_slice(&fs_err::read(&path).unwrap()).unwrap();
    assert_eq!(report["id"], "tiny");
}

#[test]
fn a_firecracker_that_dies_gives_exit_code_10() {
    let bench = Bench::new();
    let mut child = running(&bench);
    let record = bench.home.runtime_dir().join("tiny/record.json");
    let record: serde_json::Value = serde_json::from_slice(&fs_err::read(record).unwrap()).unwrap();
    let pid = i32::try_from(record["firecracker"]["pid"].as_i64().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(10));
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert!(err.contains("SIGKILL"), "{err}");
}

#[test]
fn a_second_interrupt_ends_the_guest_at_once() {
    let bench = Bench::new();
    let mut child = running(&bench);
    signal(&child, Signal::INT);
    // The first is being carried out: this guest does not listen to Ctrl-Alt-Del.
    let mut err = child.stderr.take().unwrap();
    let mut seen = String::new();
    let mut buffer = [0; 256];
    while !seen.contains("stopping") {
        let count = err.read(&mut buffer).unwrap();
        assert!(count > 0, "no word of stopping: {seen}");
        seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    signal(&child, Signal::INT);
    let code = eventually(DEADLINE, "the command ends", || child.try_wait().unwrap()).code();
    assert_eq!(code, Some(130), "{seen}");
    assert!(bench.vm_dirs().is_empty());
}

#[test]
fn a_closed_output_does_not_hurt() {
    let bench = Bench::new();
    let mut child = run(&bench, &TinyGuest::floods())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut some = [0; 64];
    child.stdout.as_mut().unwrap().read_exact(&mut some).unwrap();
    drop(child.stdout.take());
    eventually(DEADLINE, "the command ends", || child.try_wait().unwrap());
    assert!(bench.vm_dirs().is_empty());
}

#[test]
fn errors_are_for_people_and_for_programs() {
    let bench = Bench::new();
    let text = bench.file("text");
    fs_err::write(&text, "no kernel\n".repeat(100)).unwrap();
    let mut command = smartvm(&bench);
    command.args(["run", "--kernel"]).arg(&text);
    let (status, out, err) = output(&mut command);
    assert_eq!(status.status.code(), Some(2));
    assert_eq!(out, "");
    assert!(err.starts_with("error: ") && err.contains("hint: "), "{err}");

    let (_, _, err) = output(command.arg("--json"));
    let error: serde_json::Value = serde_json::from_str(&err).unwrap();
    assert_eq!(error["error"]["code"], "INVALID_KERNEL_IMAGE");
}

#[test]
fn the_doctor_examines_this_host() {
    let bench = Bench::new();
    let (_, out, err) = output(smartvm(&bench).args(["doctor", "--json"]));
    let report: serde_json::Value =
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"));
    let speed = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["id"] == "kvm-guest-speed")
        .expect("a guest is really run");
    assert!(["pass", "warn", "fail"].contains(&speed["status"].as_str().unwrap()));
    assert!(report["canRunLinuxGuests"].is_boolean());
}

#[test]
fn the_version_names_both_programs() {
    let bench = Bench::new();
    let (status, out, err) = output(smartvm(&bench).arg("version"));
    assert_eq!(status.status.code(), Some(0), "{err}");
    assert!(out.contains(env!("CARGO_PKG_VERSION")) && out.contains("1.12.1"), "{out}");
}
