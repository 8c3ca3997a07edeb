//! Commands that make images and are ended by signals leave nothing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use smartvm_testkit::eventually;
use support::{run, smartvm};

const DEADLINE: Duration = Duration::from_secs(20);

/// `rootfs create`, with a program in place of mkfs that never ends.
fn endless(dir: &Path) -> Child {
    let bin = dir.join("bin");
    fs_err::create_dir_all(&bin).unwrap();
    // What is in the data directory is ours alone.
    fs_err::set_permissions(dir, PermissionsExt::from_mode(0o700)).unwrap();
    let program = bin.join("mkfs.ext4");
    fs_err::write(&program, "#!/bin/sh\nwhile :; do :; done\n").unwrap();
    fs_err::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = smartvm(dir);
    command.args(["rootfs", "create", "new", "--size", "64"]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn drafts(dir: &Path) -> usize {
    let Ok(entries) = fs_err::read_dir(dir.join("data/rootfs")) else { return 0 };
    entries.count()
}

/// The programs that a process has run and that have not ended.
fn children(pid: u32) -> Vec<u32> {
    let entries = fs_err::read_dir("/proc").unwrap().filter_map(Result::ok);
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_child = |child: &u32| {
        let status = fs_err::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
        status.lines().any(|line| line.strip_prefix("PPid:\t") == Some(&pid.to_string()))
    };
    pids.filter(is_child).collect()
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Waits until its program runs, and returns that.
fn working(child: &Child, dir: &Path) -> u32 {
    eventually(DEADLINE, "the program runs", || {
        (drafts(dir) == 1).then(|| children(child.id()).first().copied())?
    })
}

fn has_ended(pid: u32) {
    eventually(DEADLINE, "the program has ended", || {
        (!Path::new(&format!("/proc/{pid}")).exists()).then_some(())
    });
}

#[test]
fn a_signal_removes_the_draft_ends_the_program_and_is_the_exit_code() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let dir = tempfile::tempdir().unwrap();
        let mut child = endless(dir.path());
        let program = working(&child, dir.path());
        send(&child, signal);
        let status = eventually(DEADLINE, "the command has ended", || child.try_wait().unwrap());
        assert_eq!(status.code(), Some(code));
        assert_eq!(drafts(dir.path()), 0);
        has_ended(program);
    }
}

#[test]
fn what_a_killed_command_leaves_goes_with_the_next_of_any_kind() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = endless(dir.path());
    let program = working(&child, dir.path());
    child.kill().unwrap();
    child.wait().unwrap();
    has_ended(program);
    assert_eq!(drafts(dir.path()), 1);
    let listed = run(dir.path(), &["kernel", "list"]);
    assert_eq!(listed.code, 0, "{}{}", listed.stdout, listed.stderr);
    assert_eq!(drafts(dir.path()), 0);
}
