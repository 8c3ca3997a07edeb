//! No user is two VMs at once.

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::process::Command;

use smartvm::{SmartVmOptions, UidRange};
use smartvm_testkit::eventually;
use smartvm_testkit::tiny_guest::TinyGuest;

use super::recovery::{DEADLINE, jail_record, run_command, sweep};
use super::{Jailed, bench, started};
use crate::support::Bench;

/// Ids that no other test uses at this time.
fn own_range(count: u32) -> UidRange {
    let first = 1_901_000_000 + std::process::id() % 1_000_000 * 8;
    UidRange { first, last: first + count - 1 }
}

#[tokio::test]
async fn vms_of_managers_and_processes_side_by_side_are_different_users() {
    let (one, other) = (bench(), bench());
    let mut commands: Vec<_> = (0..3).map(|n| run_command(&one, &format!("vm-{n}"), &[])).collect();
    let mut users = BTreeSet::new();
    let mut vms = Vec::new();
    for bench in [&one, &other, &one, &other] {
        let jailed = started(bench).await;
        assert!(users.insert(jailed.uid), "{} twice", jailed.uid);
        vms.push(jailed.vm);
    }
    for n in 0..3 {
        let dir = one.home.runtime_dir().join(format!("vm-{n}"));
        let uid = eventually(DEADLINE, "it has a user", || Some(jail_record(&dir)?.uid));
        assert!(users.insert(uid), "{uid} twice");
    }
    for vm in vms {
        vm.cleanup().await.unwrap();
    }
    for command in &mut commands {
        command.kill().unwrap();
        command.wait().unwrap();
    }
    sweep(&one);
}

#[tokio::test]
async fn when_all_are_in_use_no_vm_starts_until_one_is_free() {
    let bench = Bench::with(|options| {
        *options = SmartVmOptions {
            jail: smartvm::JailMode::Auto,
            uid_range: own_range(2),
            ..options.clone()
        }
    });
    let (first, second) = (started(&bench).await, started(&bench).await);
    let third = bench.vm(&TinyGuest::halts());
    assert_eq!(third.start().await.unwrap_err().code(), "UID_RANGE_EXHAUSTED");
    first.vm.cleanup().await.unwrap();
    let again = started(&bench).await;
    assert_eq!(again.uid, first.uid);
    again.vm.cleanup().await.unwrap();
    second.vm.cleanup().await.unwrap();
}

#[tokio::test]
async fn a_user_that_some_process_is_gets_no_vm_though_nobody_has_leased_it() {
    let range = own_range(2);
    let bench = Bench::with(|options| {
        options.jail = smartvm::JailMode::Auto;
        options.uid_range = range;
    });
    let mut stranger = Command::new("sleep").arg("1000").uid(range.first).spawn().unwrap();
    let started = Jailed::try_start(bench.vm(&TinyGuest::halts())).await;
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    let jailed = started.unwrap();
    assert_eq!(jailed.uid, range.last);
    jailed.vm.cleanup().await.unwrap();
}

#[tokio::test]
async fn a_user_that_is_named_is_used_unless_another_vm_is_it() {
    let bench = bench();
    let uid = own_range(1).first;
    let mut config = bench.config(&TinyGuest::halts());
    config.jail.uid = Some(uid);
    config.jail.gid = Some(uid + 1);
    let first = Jailed::start(bench.smartvm.create_vm(&config).unwrap()).await;
    assert_eq!((first.uid, first.gid), (uid, uid + 1));
    let second = bench.smartvm.create_vm(&config).unwrap();
    assert_eq!(second.start().await.unwrap_err().code(), "UID_IN_USE");
    first.vm.cleanup().await.unwrap();
}

#[tokio::test]
async fn a_user_is_not_used_again_before_what_is_left_of_its_vm_was_swept() {
    let (dead, other) = (bench(), bench());
    let uid = own_range(1).first;
    let jail = serde_json::json!({ "jail": { "uid": uid } });
    let config = dead.file("config.json");
    fs_err::write(&config, jail.to_string()).unwrap();
    let mut command = run_command(&dead, "vm", &["--config".as_ref(), config.as_os_str()]);
    let dir = dead.home.runtime_dir().join("vm");
    eventually(DEADLINE, "the jail is there", || jail_record(&dir)?.dir.exists().then_some(()));
    command.kill().unwrap();
    command.wait().unwrap();

    let mut config = other.config(&TinyGuest::halts());
    config.jail.uid = Some(uid);
    let vm = other.smartvm.create_vm(&config).unwrap();
    assert_eq!(vm.start().await.unwrap_err().code(), "UID_IN_USE");
    sweep(&dead);
    let jailed = Jailed::start(other.smartvm.create_vm(&config).unwrap()).await;
    jailed.vm.cleanup().await.unwrap();
}

#[tokio::test]
async fn a_range_that_somebody_else_has_is_refused() {
    let bench = Bench::with(|options| {
        options.jail = smartvm::JailMode::Auto;
        // Nobody's number, on every Linux.
        options.uid_range = UidRange { first: 65_000, last: 65_600 };
    });
    let error = bench.vm(&TinyGuest::halts()).start().await.unwrap_err();
    assert_eq!(error.code(), "UID_RANGE_TAKEN");
    assert!(error.to_string().contains("`nobody`"), "{error}");
    assert!(error.hint().unwrap().contains("uidRange"));
}
