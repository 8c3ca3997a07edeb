use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use smartvm_dir::LockState;
use smartvm_firecracker::ProcessIdentity;

use super::*;
use crate::home::record::VmRecord;

fn open(path: &Path) -> RuntimeDir {
    RuntimeDir::open(path, JailBounds::none()).unwrap()
}

fn home() -> (tempfile::TempDir, RuntimeDir) {
    let dir = tempfile::tempdir().unwrap();
    let home = open(&dir.path().join("runtime"));
    (dir, home)
}

fn id(text: &str) -> VmId {
    text.parse().unwrap()
}

fn claim(home: &RuntimeDir, name: &str) -> Result<VmDir, ClaimError> {
    home.claim(&id(name))
}

/// A process that has ended.
fn nobody() -> ProcessIdentity {
    let us = ProcessIdentity::of(rustix::process::getpid()).unwrap();
    ProcessIdentity { start_time: us.start_time + 1, ..us }
}

/// What a dead owner left of a VM.
fn leave(home: &RuntimeDir, name: &str, change: impl FnOnce(&mut VmRecord)) -> PrivateDir {
    let dir = home.dir().create_dir(name).unwrap();
    let mut record = VmRecord::new(id(name)).unwrap();
    record.owner = nobody();
    change(&mut record);
    record.write(&dir).unwrap();
    dir
}

#[test]
fn a_claimed_directory_is_private_and_goes_when_it_is_dropped() {
    let (_guard, home) = home();
    let vm = claim(&home, "a").unwrap();
    let path = vm.path().to_owned();
    assert_eq!(fs_err::metadata(&path).unwrap().mode() & 0o7777, 0o700);
    drop(vm);
    assert!(!path.exists());
    assert!(home.dead().unwrap().unwrap().entries().unwrap().is_empty());
}

#[test]
fn a_live_id_cannot_be_claimed_twice() {
    let (_guard, home) = home();
    let mut first = claim(&home, "a").unwrap();
    assert!(matches!(claim(&home, "a"), Err(ClaimError::InUse { .. })));
    assert!(first.path().exists());
    first.remove().unwrap();
    claim(&home, "a").unwrap().remove().unwrap();
}

#[test]
fn what_a_dead_owner_left_is_replaced() {
    let (_guard, home) = home();
    let left = leave(&home, "a", |_| {});
    left.create_dir("drives").unwrap().write("rootfs-disk.ext4", b"old").unwrap();
    let vm = claim(&home, "a").unwrap();
    assert!(!vm.path().join("drives").exists());
    assert!(home.dead().unwrap().unwrap().entries().unwrap().is_empty());
}

#[test]
fn a_sweep_removes_what_dead_owners_left_and_nothing_else() {
    let (_guard, home) = home();
    let alive = claim(&home, "alive").unwrap();
    leave(&home, "dead", |_| {});
    fs_err::create_dir(home.path().join("unfinished")).unwrap();
    fs_err::create_dir(home.path().join("not a VM of ours")).unwrap();
    fs_err::write(home.path().join("file"), "").unwrap();
    let report = home.sweep().unwrap();
    assert_eq!(report.removed, [id("dead"), id("unfinished")]);
    assert!(report.failed.is_empty());
    assert!(alive.path().exists());
    assert!(home.path().join("not a VM of ours").exists());
    assert!(home.path().join("file").exists());
}

#[test]
fn two_managers_that_race_for_an_id_never_both_get_it() {
    let (_guard, home) = home();
    for round in 0..50 {
        let claims: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..2).map(|_| scope.spawn(|| claim(&home, "a").ok())).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(claims.len(), 1, "round {round}");
    }
}

#[test]
fn the_last_child_of_a_dead_owner_is_waited_for() {
    let (_guard, home) = home();
    let dir = leave(&home, "dead", |_| {});
    let child = dir.create_lock(LOCK).unwrap();
    let report = std::thread::scope(|scope| {
        let sweep = scope.spawn(|| home.sweep());
        std::thread::yield_now();
        drop(child);
        sweep.join().unwrap().unwrap()
    });
    assert_eq!(report.removed, [id("dead")]);
}

#[test]
fn a_vm_whose_lock_somebody_removed_is_not_dead() {
    let (_guard, home) = home();
    let mut vm = claim(&home, "web").unwrap();
    fs_err::remove_file(vm.path().join(LOCK)).unwrap();
    assert!(home.sweep().unwrap().removed.is_empty());
    assert!(matches!(claim(&home, "web"), Err(ClaimError::InUse { .. })));
    assert!(vm.path().join("record.json").exists());
    // Nor with another one in its place.
    fs_err::write(vm.path().join(LOCK), "").unwrap();
    assert!(home.sweep().unwrap().removed.is_empty());
    vm.remove().unwrap();
}

#[test]
fn a_record_that_cannot_be_read_is_set_aside_and_reported_and_keeps_nobody() {
    let (_guard, home) = home();
    let damaged = leave(&home, "damaged", |_| {});
    damaged.write("record.json", b"{").unwrap();
    damaged.write("precious", b"").unwrap();
    leave(&home, "dead", |_| {});
    let report = home.sweep().unwrap();
    assert_eq!(report.removed, [id("dead")]);
    let [(vm, path)] = report.damaged.as_slice() else { panic!("{report:?}") };
    assert_eq!(vm, &id("damaged"));
    assert!(path.join("precious").exists());
    claim(&home, "damaged").unwrap().remove().unwrap();
    assert!(home.sweep().unwrap().damaged.is_empty());
    assert!(path.join("precious").exists(), "it stays for a person");
}

#[test]
fn what_a_killed_removal_left_goes_with_the_next_sweep_and_the_next_vm_of_that_id() {
    let (_guard, home) = home();
    for next in ["sweep", "claim"] {
        leave(&home, "a", |_| {});
        drop(home.claim_dead().unwrap());
        assert!(!home.path().join("a").exists() && home.path().join(".dead/a~0").exists());
        match next {
            "sweep" => assert_eq!(home.sweep().unwrap().removed, [id("a")]),
            _ => claim(&home, "a").unwrap().remove().unwrap(),
        }
        assert!(!home.path().join(".dead/a~0").exists(), "{next}");
    }
}

#[test]
fn others_start_while_the_dead_are_removed() {
    let (_guard, home) = home();
    leave(&home, "dead", |_| {});
    let claimed = home.claim_dead().unwrap();
    claim(&home, "other").unwrap().remove().unwrap();
    // And nobody takes it for theirs to remove.
    assert!(home.sweep().unwrap().removed.is_empty());
    assert_eq!(claimed.remove(&home, Default::default).removed, [id("dead")]);
}

#[test]
fn a_process_elsewhere_is_not_ended_whatever_a_record_says() {
    let (_guard, home) = home();
    let mut stranger = std::process::Command::new("/bin/sleep").arg("1000").spawn().unwrap();
    let pid = rustix::process::Pid::from_child(&stranger);
    let identity = ProcessIdentity::of(pid).unwrap();
    leave(&home, "dead", |record| record.firecracker = Some(identity));
    assert_eq!(home.sweep().unwrap().removed, [id("dead")]);
    assert!(stranger.try_wait().unwrap().is_none(), "a stranger was killed");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn a_process_of_the_vm_that_outlived_its_owner_is_ended() {
    let (_guard, home) = home();
    let dir = leave(&home, "dead", |_| {});
    let mut survivor = std::process::Command::new("/bin/sleep");
    let mut survivor = survivor.arg("1000").current_dir(dir.path()).spawn().unwrap();
    let mut record = VmRecord::read(&dir).unwrap().unwrap();
    let pid = rustix::process::Pid::from_child(&survivor);
    record.firecracker = Some(ProcessIdentity::of(pid).unwrap());
    record.write(&dir).unwrap();
    assert_eq!(home.sweep().unwrap().removed, [id("dead")]);
    assert!(!survivor.wait().unwrap().success());
}

/// That a directory of another user is refused, and what he puts there does nothing, is tried as root: see the native tests'
/// `planted_records`.
#[test]
fn a_link_in_place_of_the_runtime_directory_or_above_it_is_refused() {
    let (shared, ours) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // Anybody may put a link there.
    fs_err::set_permissions(shared.path(), PermissionsExt::from_mode(0o1777)).unwrap();
    symlink(ours.path(), shared.path().join("link")).unwrap();
    for path in ["link", "link/runtime"] {
        let refused = RuntimeDir::open(&shared.path().join(path), JailBounds::none());
        assert!(refused.is_err(), "{path}");
    }
    assert_eq!(fs_err::read_dir(ours.path()).unwrap().count(), 0);
}

#[test]
fn a_record_that_names_what_is_no_jail_of_ours_removes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("jails");
    fs_err::create_dir(&base).unwrap();
    let home = RuntimeDir::open(&dir.path().join("run"), JailBounds::below(base)).unwrap();
    let precious = dir.path().join("other/firecracker/web-70000");
    fs_err::create_dir_all(&precious).unwrap();
    let left = leave(&home, "web", |_| {});
    let mut record = serde_json::to_value(VmRecord::read(&left).unwrap().unwrap()).unwrap();
    record["jail"] = serde_json::json!({
        "dir": precious, "uid": 70_000, "gid": 70_000, "cgroup": null,
    });
    left.write("record.json", record.to_string().as_bytes()).unwrap();
    let report = home.sweep().unwrap();
    assert_eq!(report.failed.len(), 1);
    assert!(report.failed[0].1.to_string().contains("not in the directory of jails"));
    assert!(precious.exists());
}

#[test]
fn the_owner_of_a_dying_vm_is_not_taken_for_alive_by_its_lock() {
    let (_guard, home) = home();
    let dir = leave(&home, "dead", |_| {});
    let lock = dir.create_lock(LOCK).unwrap();
    assert!(matches!(dir.try_lock(LOCK).unwrap(), LockState::Held));
    assert!(matches!(claim(&home, "dead"), Err(ClaimError::InUse { .. })), "after a second");
    drop(lock);
    claim(&home, "dead").unwrap().remove().unwrap();
}
