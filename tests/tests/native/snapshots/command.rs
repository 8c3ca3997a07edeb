//! `smartvm snapshot`.

use std::io::{Read, Write};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use smartvm_testkit::tiny_guest::TinyGuest;
use smartvm_testkit::{eventually, fixtures};

use super::{DEADLINE, entries};
use crate::support::Bench;

fn smartvm(bench: &Bench, args: &[&str]) -> Command {
    let mut command = Command::new(fixtures::command());
    command.arg("--firecracker").arg(fixtures::firecracker());
    command.arg("--data-dir").arg(bench.home.data_dir());
    command.arg("--runtime-dir").arg(bench.home.runtime_dir());
    command.args(args).stdin(Stdio::null());
    command
}

fn said(bench: &Bench, args: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = smartvm(bench, args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn json(bench: &Bench, args: &[&str]) -> Value {
    let (code, out, err) = said(bench, &[&["--json"], args].concat());
    assert_eq!(code, 0, "{args:?}: {err}");
    serde_json::from_str(&out).unwrap()
}

/// A guest of the command that sends back what it is told.
struct Guest(Child);

impl Guest {
    fn spawn(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap())
    }

    fn run(bench: &Bench, id: &str) -> Self {
        let kernel = bench.file("guest");
        TinyGuest::echoes().write_to(&kernel).unwrap();
        let mut command = smartvm(bench, &["run", "--memory", "32", "--id", id, "--kernel"]);
        let mut guest = Self::spawn(command.arg(kernel));
        guest.echoes("started");
        guest
    }

    fn echoes(&mut self, text: &str) {
        self.0.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
        let mut seen = vec![0; text.len()];
        self.0.stdout.as_mut().unwrap().read_exact(&mut seen).unwrap();
        assert_eq!(String::from_utf8_lossy(&seen), text);
    }

    /// Ends the command. A second SIGTERM means "at once"; this guest knows no other end.
    fn end(mut self, signal: Signal) {
        eventually(DEADLINE, "the command ended", || {
            kill_process(Pid::from_child(&self.0), signal).unwrap();
            self.0.try_wait().unwrap()
        });
    }
}

#[test]
fn a_guest_of_the_command_is_saved_restored_and_forgotten() {
    let bench = Bench::new();
    let mut guest = Guest::run(&bench, "web");
    let (code, out, err) = said(&bench, &["snapshot", "create", "web", "--name", "ready"]);
    assert_eq!((code, out.as_str()), (0, "ready\n"), "{err}");
    guest.echoes("still there");
    let made = json(&bench, &["snapshot", "create", "web", "--name", "second"]);
    assert_eq!((&made["name"], &made["vmId"]), (&"second".into(), &"web".into()));
    guest.end(Signal::TERM);

    let list = json(&bench, &["snapshot", "list"]);
    let names: Vec<_> = list.as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["ready", "second"]);
    let (_, out, _) = said(&bench, &["snapshot", "list"]);
    assert!(out.starts_with("NAME    KIND"), "{out}");
    let (code, out, _) = said(&bench, &["snapshot", "show", "ready", "--verify"]);
    assert!(code == 0 && out.contains("of VM        web"), "{out}");

    for backend in [&[][..], &["--uffd"]] {
        let args = [&["snapshot", "restore", "ready", "--id", "again"], backend].concat();
        let mut restored = Guest::spawn(&mut smartvm(&bench, &args));
        restored.echoes("here again");
        // What was restored can be saved too.
        let (code, _, err) = said(&bench, &["snapshot", "create", "again"]);
        assert_eq!(code, 0, "{err}");
        restored.end(Signal::TERM);
    }
    assert_eq!(json(&bench, &["snapshot", "rm", "ready"])["removed"], "ready");
    let (code, _, err) = said(&bench, &["snapshot", "restore", "ready"]);
    assert!(code == 3 && err.contains("no snapshot ready"), "{code}: {err}");
}

#[test]
fn what_is_signed_goes_on_where_a_signature_is_wanted() {
    let bench = Bench::new();
    let [secret, public, other] = keys(&bench);
    let guest = Guest::run(&bench, "web");
    let create = |name, more: &[&str]| {
        let args = [&["snapshot", "create", "web", "--name", name], more].concat();
        said(&bench, &args)
    };
    assert_eq!(create("plain", &[]).0, 0);
    assert_eq!(create("signed", &["--sign", &secret]).0, 0);
    let (code, _, err) = create("public", &["--sign", &public]);
    assert!(code != 0 && err.contains("key"), "{code}: {err}");
    guest.end(Signal::TERM);

    for (name, key, expected) in
        [("plain", &public, "SNAPSHOT_UNSIGNED"), ("signed", &other, "SNAPSHOT_WRONG_SIGNATURE")]
    {
        let args = ["--json", "snapshot", "restore", name, "--verify", key];
        let (code, _, err) = said(&bench, &args);
        let told: Value = serde_json::from_str(&err).unwrap();
        assert_eq!((code, &told["error"]["code"]), (4, &expected.into()));
    }
    let args = ["snapshot", "restore", "signed", "--verify", &public];
    let mut restored = Guest::spawn(&mut smartvm(&bench, &args));
    restored.echoes("here again");
    restored.end(Signal::TERM);
}

/// A secret key, its public half, and the public half of another.
fn keys(bench: &Bench) -> [String; 3] {
    ["secret", "public", "other"].map(|name| {
        let path = bench.file(name);
        let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA{}\n-----END PUBLIC KEY-----\n";
        let text = match name {
            "secret" => super::signed::SECRET.to_owned(),
            "public" => super::signed::PUBLIC.to_owned(),
            _ => public.replace("{}", "OfpCNLd77e7N1TBMo0VLebcmeUHytM+oBL5ckfrX2E4="),
        };
        fs_err::write(&path, text).unwrap();
        fs_err::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
        path.to_str().unwrap().to_owned()
    })
}

#[test]
fn what_cannot_be_saved_is_told_with_the_code_of_its_kind() {
    let bench = Bench::new();
    let (code, _, err) = said(&bench, &["snapshot", "create", "nobody"]);
    assert!(code == 3 && err.contains("no VM \"nobody\" is running"), "{code}: {err}");
    let (code, _, err) = said(&bench, &["snapshot", "create", "web", "--name", "../x"]);
    assert!(code == 2 && err.contains("must start with"), "{code}: {err}");
    let guest = Guest::run(&bench, "web");
    let (code, _, err) = said(&bench, &["snapshot", "create", "web", "--diff", "none"]);
    assert!(code == 3 && err.contains("no snapshot none"), "{code}: {err}");
    assert_eq!(said(&bench, &["snapshot", "create", "web", "--name", "one"]).0, 0);
    let (code, _, err) = said(&bench, &["--json", "snapshot", "create", "web", "--name", "one"]);
    let told: Value = serde_json::from_str(&err).unwrap();
    assert_eq!((code, &told["error"]["code"]), (4, &"SNAPSHOT_EXISTS".into()));
    let (code, _, err) = said(&bench, &["snapshot", "create", "web", "--diff", "one"]);
    assert!(code == 4 && err.contains("trackDirtyPages"), "{code}: {err}");
    let (code, _, err) = said(&bench, &["snapshot", "merge", "one"]);
    assert!(code == 4 && err.contains("full already"), "{code}: {err}");
    guest.end(Signal::TERM);
}

#[test]
fn an_owner_that_is_killed_meanwhile_leaves_nothing_that_the_next_command_does_not_remove() {
    let bench = Bench::new();
    let guest = Guest::run(&bench, "web");
    let asking = smartvm(&bench, &["snapshot", "create", "web", "--name", "one"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    eventually(DEADLINE, "the snapshot is begun", || {
        entries(&bench).iter().any(|entry| entry.starts_with('.')).then_some(())
    });
    guest.end(Signal::KILL);
    let asked = asking.wait_with_output().unwrap();
    assert_eq!(asked.status.code(), Some(1), "{}", String::from_utf8_lossy(&asked.stderr));
    assert_eq!(json(&bench, &["snapshot", "list"]), Value::Array(Vec::new()));
    assert_eq!(entries(&bench), Vec::<String>::new());
    // The VM's own files go with the next manager.
    bench.smartvm.sweep().unwrap();
}

#[test]
fn a_vm_that_is_being_started_and_one_that_nobody_serves_are_told_apart() {
    let bench = Bench::new();
    let dir = bench.home.runtime_dir().join("web");
    fs_err::create_dir(&dir).unwrap();
    let lock = fs_err::File::create(dir.join("lock")).unwrap();
    lock.file().lock().unwrap();
    let us = smartvm::firecracker::ProcessIdentity::of(rustix::process::getpid()).unwrap();
    let mut record =
        serde_json::json!({ "schemaVersion": 1, "id": "web", "owner": us, "firecracker": null });
    fs_err::write(dir.join("record.json"), record.to_string()).unwrap();
    let code = |vm: &str| {
        let (code, _, err) = said(&bench, &["--json", "snapshot", "create", vm]);
        let error: Value = serde_json::from_str(&err).unwrap();
        (code, error["error"]["code"].as_str().unwrap().to_owned())
    };
    assert_eq!(code("web"), (4, "VM_NOT_STARTED".to_owned()));
    record["firecracker"] = serde_json::to_value(&us).unwrap();
    fs_err::write(dir.join("record.json"), record.to_string()).unwrap();
    assert_eq!(code("web"), (4, "VM_NOT_SERVED".to_owned()));
    assert_eq!(code("db"), (3, "VM_NOT_FOUND".to_owned()));
    fs_err::remove_dir_all(&dir).unwrap();
}
