//! What somebody else removes of a running VM's directory is noticed by its owner and put back.

use std::process::Child;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use smartvm_testkit::eventually;

use crate::managed_network::Host;

const DEADLINE: Duration = Duration::from_secs(20);

/// A `smartvm run` that is ended with the test.
struct Running(Child);

impl Running {
    fn start(host: &Host, id: &str, words: &[&str]) -> Self {
        let mut line = vec!["--no-stdin"];
        line.extend(words);
        let running = Self(host.run(id, &line));
        let socket = host.home.runtime_dir().join(id).join("control.sock");
        eventually(DEADLINE, "the VM runs", || socket.exists().then_some(()));
        running
    }

    fn end(&mut self) -> Option<i32> {
        eventually(DEADLINE, "the command has ended", || {
            let _ = kill_process(Pid::from_child(&self.0), Signal::INT);
            self.0.try_wait().unwrap()
        })
        .code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_removed_directory_comes_back_and_others_neither_take_the_id_nor_the_network() {
    let host = Host::new();
    let mut web = Running::start(&host, "web", &["--network", "eth0"]);
    let tap = host.up("web")["tap"].as_str().unwrap().to_owned();
    let dir = host.home.runtime_dir().join("web");
    // `rm -r` itself may find that something was put back meanwhile.
    let removed = host.home.path().join("removed");
    fs_err::rename(&dir, &removed).unwrap();
    fs_err::remove_dir_all(&removed).unwrap();
    let names = ["lock", "record.json", "firecracker.sock", "control.sock"];
    eventually(DEADLINE, "its directory is back", || {
        names.iter().all(|name| dir.join(name).symlink_metadata().is_ok()).then_some(())
    });
    // Another one's sweep finds a living owner.
    let mut other = Running::start(&host, "other", &["--network", "eth0"]);
    assert!(host.links().contains(&tap), "the living VM has lost its TAP");
    assert_eq!(host.net(&["list"]).as_array().unwrap().len(), 2);
    let again = host.run("web", &["--no-stdin"]).wait_with_output().unwrap();
    assert_eq!(again.status.code(), Some(4), "{again:?}");
    let saved = host.command(&["snapshot", "create", "web"]).output().unwrap();
    assert!(saved.status.success(), "{saved:?}");
    assert_eq!((other.end(), web.end()), (Some(130), Some(130)));
    assert!(!dir.exists());
    assert_eq!(host.links(), ["lo"]);
}

#[test]
fn a_removed_lock_and_a_removed_record_come_back() {
    let host = Host::new();
    let mut web = Running::start(&host, "web", &["--no-jail"]);
    let dir = host.home.runtime_dir().join("web");
    for name in ["lock", "record.json"] {
        fs_err::remove_file(dir.join(name)).unwrap();
        eventually(DEADLINE, "it is back", || dir.join(name).exists().then_some(()));
        let again = host.run("web", &["--no-stdin", "--no-jail"]).wait_with_output().unwrap();
        assert_eq!(again.status.code(), Some(4), "{name}: {again:?}");
    }
    assert_eq!(web.end(), Some(130));
    assert!(!dir.exists());
}
