//! The owner of a jailed VM dies by `kill -9`.

use std::ffi::OsStr;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use smartvm::firecracker::ProcessIdentity;
use smartvm_testkit::tiny_guest::TinyGuest;
use smartvm_testkit::{eventually, fixtures};

use super::{bench, jails, started};
use crate::support::Bench;

pub(super) const DEADLINE: Duration = Duration::from_secs(20);

/// `smartvm run` in a process of its own.
pub(super) fn run_command(bench: &Bench, id: &str, args: &[&OsStr]) -> Child {
    let kernel = bench.file("guest");
    if !kernel.exists() {
        TinyGuest::halts().write_to(&kernel).unwrap();
    }
    Command::new(fixtures::command())
        .args(["run", "--memory", "32", "--id", id, "--kernel"])
        .arg(kernel)
        .args(args)
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

pub(super) struct JailRecord {
    pub(super) dir: PathBuf,
    pub(super) uid: u32,
}

fn record(vm_dir: &Path) -> Option<serde_json::Value> {
    serde_json::from_slice(&fs_err::read(vm_dir.join("record.json")).ok()?).ok()
}

pub(super) fn jail_record(vm_dir: &Path) -> Option<JailRecord> {
    let record = record(vm_dir)?;
    let uid = record["jail"]["uid"].as_u64()?.try_into().ok()?;
    Some(JailRecord { dir: record["jail"]["dir"].as_str()?.into(), uid })
}

fn firecracker(vm_dir: &Path) -> Option<ProcessIdentity> {
    serde_json::from_value(record(vm_dir)?["firecracker"].clone()).ok()
}

/// Processes of a user. One that has ended is listed until init collects it, and does not count.
fn processes_of(uid: u32) -> Vec<String> {
    let entries = fs_err::read_dir("/proc").unwrap().map(|entry| entry.unwrap());
    entries
        .filter(|entry| entry.metadata().is_ok_and(|found| found.uid() == uid))
        .filter(|entry| {
            let stat = fs_err::read_to_string(entry.path().join("stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_some_and(|(_, fields)| !fields.starts_with(['Z', 'X']))
        })
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect()
}

/// Sweeps until nothing is left. A child that the owner was about to make when it was killed holds
/// its locks for the moment that it takes to die as well.
pub(super) fn sweep(bench: &Bench) {
    eventually(DEADLINE, "all is swept", || {
        let report = bench.smartvm.sweep().unwrap();
        assert_eq!(report.failed.len(), 0, "{report:?}");
        (jails(bench).is_empty() && bench.vm_dirs().is_empty()).then_some(())
    });
}

fn guards_of(jail: &Path) -> usize {
    let guard = jail.join("guard").into_os_string().into_string().unwrap();
    let entries = fs_err::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter_map(|dir| fs_err::read_to_string(dir.join("cmdline")).ok())
        .filter(|line| line.trim_end_matches('\0') == guard)
        .count()
}

#[tokio::test]
async fn a_killed_owner_takes_the_jail_along_though_its_death_signal_was_cleared() {
    let bench = bench();
    let mut owner = run_command(&bench, "orphan", &[]);
    let dir = bench.home.runtime_dir().join("orphan");
    eventually(DEADLINE, "the VM runs", || dir.join("firecracker.sock").exists().then_some(()));
    let (process, jail) =
        eventually(DEADLINE, "it is recorded", || Some((firecracker(&dir)?, jail_record(&dir)?)));
    eventually(DEADLINE, "it is its own user", || {
        processes_of(jail.uid).contains(&process.pid.to_string()).then_some(())
    });
    assert_eq!(guards_of(&jail.dir), 1);
    owner.kill().unwrap();
    owner.wait().unwrap();
    eventually(DEADLINE, "its Firecracker is gone", || (!process.is_alive()).then_some(()));
    eventually(DEADLINE, "its guard is gone", || (guards_of(&jail.dir) == 0).then_some(()));
    assert!(jail.dir.exists(), "a killed process cannot remove its files");

    sweep(&bench);
    started(&bench).await.vm.cleanup().await.unwrap();
}

#[tokio::test]
async fn an_owner_killed_at_any_moment_leaves_nothing_of_a_jail_that_is_not_swept() {
    let bench = bench();
    let lent = bench.file("lent");
    fs_err::write(&lent, vec![1; 1 << 16]).unwrap();
    let args = ["--persistent".as_ref(), "--rootfs".as_ref(), lent.as_os_str()];
    for step in 0..40 {
        chown(&lent, Some(1234), None).unwrap();
        let mut owner = run_command(&bench, "victim", &args);
        // Not a wait for something: the moment of the fault is what varies.
        std::thread::sleep(Duration::from_millis(1) * step);
        owner.kill().unwrap();
        owner.wait().unwrap();
        let jail = jail_record(&bench.home.runtime_dir().join("victim"));
        sweep(&bench);
        assert_eq!(fs_err::metadata(&lent).unwrap().uid(), 1234, "killed after {step} ms");
        if let Some(jail) = jail {
            assert_eq!(processes_of(jail.uid), Vec::<String>::new(), "killed after {step} ms");
            eventually(DEADLINE, "its guard is gone", || (guards_of(&jail.dir) == 0).then_some(()));
        }
    }
    started(&bench).await.vm.cleanup().await.unwrap();
}

/// The runtime directory is in memory, jails are on a disk.
#[tokio::test]
async fn a_jail_whose_record_went_with_a_restart_of_the_host_is_swept() {
    let bench = bench();
    let mut owner = run_command(&bench, "lost", &[]);
    let dir = bench.home.runtime_dir().join("lost");
    eventually(DEADLINE, "the VM runs", || dir.join("firecracker.sock").exists().then_some(()));
    let living = started(&bench).await;
    owner.kill().unwrap();
    owner.wait().unwrap();
    fs_err::remove_dir_all(dir).unwrap();
    assert_eq!(jails(&bench).len(), 2);
    eventually(DEADLINE, "only the living is left", || {
        bench.smartvm.sweep().unwrap();
        (jails(&bench) == [living.root.parent().unwrap()]).then_some(())
    });
    living.vm.cleanup().await.unwrap();
}
