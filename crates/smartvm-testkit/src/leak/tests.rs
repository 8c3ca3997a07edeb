//! Leaks made on purpose.

use std::io::Read;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::HostSnapshot;

#[test]
fn files_and_sockets_that_appear_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    let before = HostSnapshot::take_below([dir.path()]);
    fs_err::create_dir(dir.path().join("vm")).unwrap();
    let _listener = UnixListener::bind(dir.path().join("vm/api.sock")).unwrap();
    fs_err::write(dir.path().join(".lock"), "").unwrap();

    let shown = dir.path().display();
    let expected = [format!("directory {shown}/vm"), format!("socket {shown}/vm/api.sock")];
    assert_eq!(before.changes(), (expected.to_vec(), Vec::new()));
}

#[test]
fn a_file_that_vanishes_is_a_change_too() {
    let dir = tempfile::tempdir().unwrap();
    fs_err::write(dir.path().join("theirs"), "").unwrap();
    let before = HostSnapshot::take_below([dir.path()]);
    fs_err::remove_file(dir.path().join("theirs")).unwrap();
    let (appeared, gone) = before.changes();
    assert!(appeared.is_empty());
    assert_eq!(gone, [format!("file {}/theirs", dir.path().display())]);
}

#[test]
fn a_process_is_found_by_its_command_line_until_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let before = HostSnapshot::take_below([dir.path()]);
    let mut child = Command::new("sh")
        .args(["-c", "echo up; read line", "sh"])
        .arg(dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Right after the spawn its command line can still be empty.
    child.stdout.take().unwrap().read_exact(&mut [0; 3]).unwrap();
    let (appeared, _) = before.changes();
    assert_eq!(appeared.len(), 1, "{appeared:?}");
    assert!(appeared[0].starts_with(&format!("process {}: sh -c", child.id())), "{appeared:?}");

    drop(child.stdin.take());
    child.wait().unwrap();
    before.assert_unchanged(Duration::ZERO);
}

#[test]
#[should_panic(expected = "left behind")]
fn a_leak_fails_the_test() {
    let dir = tempfile::tempdir().unwrap();
    let before = HostSnapshot::take_below([dir.path()]);
    fs_err::write(dir.path().join("forgotten"), "").unwrap();
    before.assert_unchanged(Duration::ZERO);
}

#[test]
fn it_waits_for_what_is_still_going_away() {
    let dir = tempfile::tempdir().unwrap();
    let before = HostSnapshot::take_below([dir.path()]);
    // It goes away only once the check has begun to look, or has yet to: both must do.
    let path = dir.path().join("going");
    fs_err::write(&path, "").unwrap();
    let remover = std::thread::spawn(move || fs_err::remove_file(path));
    before.assert_unchanged(Duration::from_secs(60));
    remover.join().unwrap().unwrap();
}

#[test]
fn the_network_of_an_idle_host_does_not_change() {
    let dir = tempfile::tempdir().unwrap();
    let before = HostSnapshot::take([dir.path()]);
    before.assert_unchanged(Duration::from_secs(60));
    assert!(before.things.contains("network link lo"));
}
