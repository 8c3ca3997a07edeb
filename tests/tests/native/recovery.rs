//! The owner dies by `kill -9`: the kernel ends its Firecracker, the next manager removes the rest.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Pid;
use smartvm::SmartVm;
use smartvm::firecracker::ProcessIdentity;
use smartvm_testkit::tiny_guest::TinyGuest;
use smartvm_testkit::{eventually, fixtures};

use crate::support::Bench;

const DEADLINE: Duration = Duration::from_secs(20);

fn run_command(bench: &Bench, id: &str) -> Child {
    let kernel = bench.file("guest");
    TinyGuest::halts().write_to(&kernel).unwrap();
    let disk = bench.file("disk");
    fs_err::write(&disk, vec![3; 1 << 20]).unwrap();
    Command::new(fixtures::command())
        .args(["run", "--no-jail", "--memory", "32", "--id", id, "--kernel"])
        .arg(kernel)
        .arg("--rootfs")
        .arg(disk)
        .arg("--firecracker")
        .arg(fixtures::firecracker())
        .arg("--data-dir")
        .arg(bench.home.data_dir())
        .arg("--runtime-dir")
        .arg(bench.home.runtime_dir())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn recorded(dir: &Path) -> Option<ProcessIdentity> {
    let record: serde_json::Value =
        serde_json::from_slice(&fs_err::read(dir.join("record.json")).ok()?).ok()?;
    serde_json::from_value(record["firecracker"].clone()).ok()
}

#[tokio::test]
async fn a_killed_owner_takes_its_firecracker_along_and_the_next_manager_its_files() {
    let bench = Bench::new();
    let mut owner = run_command(&bench, "orphan");
    let dir = bench.home.runtime_dir().join("orphan");
    eventually(DEADLINE, "the VM runs", || {
        recorded(&dir).filter(|_| dir.join("firecracker.sock").exists())
    });
    let firecracker = recorded(&dir).unwrap();
    owner.kill().unwrap();
    owner.wait().unwrap();
    eventually(DEADLINE, "its Firecracker is gone", || (!firecracker.is_alive()).then_some(()));
    assert!(dir.exists(), "a killed process cannot remove its files");

    SmartVm::new(bench.smartvm.options().clone()).unwrap();
    assert!(!dir.exists());
    bench.next_start_works().await;
}

#[tokio::test]
async fn an_owner_killed_at_any_moment_leaves_nothing_that_is_not_swept() {
    let bench = Bench::new();
    for step in 0..30 {
        let mut owner = run_command(&bench, "victim");
        // Not a wait for something: the moment of the fault is what varies.
        std::thread::sleep(Duration::from_millis(1) * step);
        owner.kill().unwrap();
        owner.wait().unwrap();
        let firecracker = recorded(&bench.home.runtime_dir().join("victim"));
        SmartVm::new(bench.smartvm.options().clone()).unwrap();
        assert_eq!(bench.vm_dirs(), Vec::<PathBuf>::new(), "killed after {step} ms");
        if let Some(firecracker) = firecracker {
            assert!(!firecracker.is_alive(), "killed after {step} ms");
        }
    }
    bench.next_start_works().await;
}

/// As if the parent-death signal had not been delivered.
#[tokio::test]
async fn a_firecracker_that_outlived_its_owner_is_ended() {
    let bench = Bench::new();
    // As Firecracker does, it works in the VM's directory.
    let dir = bench.home.runtime_dir().join("orphan");
    fs_err::create_dir(&dir).unwrap();
    let mut survivor = Command::new("/bin/sleep");
    let mut survivor = survivor.arg("1000").current_dir(&dir).spawn().unwrap();
    let identity = ProcessIdentity::of(Pid::from_child(&survivor)).unwrap();
    leave_record(bench.home.runtime_dir(), "orphan", &identity);
    let report = bench.smartvm.sweep().unwrap();
    assert_eq!(report.removed.len(), 1);
    assert!(report.failed.is_empty());
    assert!(!survivor.wait().unwrap().success());
    assert_eq!(bench.vm_dirs(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_process_that_only_has_the_same_number_is_left_alone() {
    let bench = Bench::new();
    let dir = bench.home.runtime_dir().join("orphan");
    fs_err::create_dir(&dir).unwrap();
    let mut stranger = Command::new("/bin/sleep");
    let mut stranger = stranger.arg("1000").current_dir(&dir).spawn().unwrap();
    let mut identity = ProcessIdentity::of(Pid::from_child(&stranger)).unwrap();
    identity.start_time += 1;
    leave_record(bench.home.runtime_dir(), "orphan", &identity);
    bench.smartvm.sweep().unwrap();
    assert_eq!(bench.vm_dirs(), Vec::<PathBuf>::new());
    assert!(stranger.try_wait().unwrap().is_none(), "a stranger was killed");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

fn leave_record(runtime_dir: &Path, id: &str, process: &ProcessIdentity) {
    let dir = runtime_dir.join(id);
    fs_err::create_dir_all(&dir).unwrap();
    let mut owner = ProcessIdentity::of(rustix::process::getpid()).unwrap();
    owner.start_time += 1;
    let record = serde_json::json!({
        "schemaVersion": 1, "id": id, "owner": owner, "firecracker": process,
    });
    fs_err::write(dir.join("record.json"), record.to_string()).unwrap();
}
