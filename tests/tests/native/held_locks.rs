//! Locks of the host whose holder stands still: whoever waits for one hears signals.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use smartvm::SmartVm;
use smartvm::firecracker::ProcessIdentity;
use smartvm_testkit::eventually;

use crate::managed_network::Host;

/// A holder gets five seconds: whoever has ended before that did not wait for them.
const BEFORE_PATIENCE: Duration = Duration::from_secs(4);
const DEADLINE: Duration = Duration::from_secs(20);

/// A process that is ended with the test.
struct Process(Child);

impl Process {
    fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process that was stopped with the lock in its hands.
fn stopped_holder(lock: &Path) -> Process {
    let dir = lock.parent().unwrap();
    fs_err::create_dir_all(dir).unwrap();
    for dir in dir.ancestors().take(2) {
        fs_err::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    }
    let file = fs_err::OpenOptions::new().create(true).append(true).open(lock).unwrap();
    file.file().lock().unwrap();
    // The lock is the open file's, which the child has as well.
    let fd = rustix::io::fcntl_dupfd_cloexec(file.file(), 100).unwrap();
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::empty()).unwrap();
    let holder = Process(Command::new("sleep").arg("1000").spawn().unwrap());
    holder.send(Signal::STOP);
    holder
}

fn has_open(child: &Child, path: &Path) -> bool {
    let Ok(fds) = fs_err::read_dir(format!("/proc/{}/fd", child.id())) else { return false };
    fds.filter_map(Result::ok).any(|fd| fs_err::read_link(fd.path()).is_ok_and(|it| it == path))
}

/// What a dead owner left, for which the next manager needs the lock of the runtime directory.
fn leave_dead_vm(runtime_dir: &Path) {
    let dir = runtime_dir.join("dead");
    fs_err::create_dir_all(&dir).unwrap();
    let mut owner = ProcessIdentity::of(rustix::process::getpid()).unwrap();
    owner.start_time += 1;
    let record = serde_json::json!({ "schemaVersion": 1, "id": "dead", "owner": owner, "firecracker": null });
    fs_err::write(dir.join("record.json"), record.to_string()).unwrap();
}

fn interrupted_while_waiting(
    signal: Signal,
    code: i32,
    lock: impl Fn(&Host) -> PathBuf,
    words: &[&str],
) {
    let host = Host::new();
    let lock = lock(&host);
    let holder = stopped_holder(&lock);
    fs_err::write(host.home.path().join("disk"), vec![3; 4096]).unwrap();
    let disk = host.home.path().join("disk");
    let mut line = vec!["--no-stdin"];
    line.extend(words);
    line.extend(["--rootfs", disk.to_str().unwrap()]);
    let mut waiter = Process(host.run("waiter", &line));
    eventually(DEADLINE, "it waits for the lock", || {
        assert_eq!(waiter.0.try_wait().unwrap(), None, "it has ended before");
        has_open(&waiter.0, &lock).then_some(())
    });
    waiter.send(signal);
    let status = eventually(BEFORE_PATIENCE, "it has ended", || waiter.0.try_wait().unwrap());
    assert_eq!(status.code(), Some(code), "{}", lock.display());
    drop(holder);
    let options = smartvm::SmartVmOptions {
        data_dir: host.home.data_dir().to_owned(),
        runtime_dir: host.home.runtime_dir().to_owned(),
        network_state_dir: host.home.path().join("net"),
        ..smartvm::SmartVmOptions::default()
    };
    host.namespace.run(move || drop(SmartVm::new(options).unwrap()));
}

#[test]
fn who_waits_for_the_lock_of_all_vms_to_sweep_dead_ones_ends_by_sigint() {
    interrupted_while_waiting(
        Signal::INT,
        130,
        |host| {
            leave_dead_vm(host.home.runtime_dir());
            host.home.runtime_dir().join(".lock")
        },
        &["--no-jail"],
    );
}

#[test]
fn who_waits_for_the_lock_of_all_vms_to_start_one_ends_by_sigterm() {
    let lock = |host: &Host| host.home.runtime_dir().join(".lock");
    interrupted_while_waiting(Signal::TERM, 143, lock, &["--no-jail"]);
}

#[test]
fn who_waits_for_the_lock_of_all_jails_ends_by_sigint() {
    let lock = |host: &Host| host.home.data_dir().join("jail/.lock");
    interrupted_while_waiting(Signal::INT, 130, lock, &[]);
}

#[test]
fn who_waits_for_the_promises_of_the_disk_ends_by_sigint() {
    let lock = |host: &Host| host.home.data_dir().join(".disk/.lock");
    interrupted_while_waiting(Signal::INT, 130, lock, &["--no-jail"]);
}

#[test]
fn who_waits_for_the_lock_of_a_network_ends_by_sigterm() {
    let lock = |host: &Host| host.home.path().join("net/svbr0/lock");
    interrupted_while_waiting(Signal::TERM, 143, lock, &["--no-jail", "--network", "eth0"]);
}
