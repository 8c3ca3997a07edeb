use std::os::unix::fs::MetadataExt;

use super::*;

fn home() -> (tempfile::TempDir, RuntimeDir) {
    let dir = tempfile::tempdir().unwrap();
    let home = RuntimeDir::open(&dir.path().join("runtime")).unwrap();
    (dir, home)
}

fn is_unlocked(home: &RuntimeDir) -> bool {
    open_lock(&home.path().join(".lock")).unwrap().file().try_lock().is_ok()
}

fn id(text: &str) -> VmId {
    text.parse().unwrap()
}

#[test]
fn a_claimed_directory_is_private_and_goes_when_it_is_dropped() {
    let (_guard, home) = home();
    let vm = home.claim(&id("a")).unwrap();
    let path = vm.path().to_owned();
    assert_eq!(fs_err::metadata(&path).unwrap().mode() & 0o7777, 0o700);
    drop(vm);
    assert!(!path.exists());
}

#[test]
fn a_live_id_cannot_be_claimed_twice() {
    let (_guard, home) = home();
    let mut first = home.claim(&id("a")).unwrap();
    assert!(matches!(home.claim(&id("a")), Err(ClaimError::InUse { .. })));
    assert!(first.path().exists());
    first.remove().unwrap();
    home.claim(&id("a")).unwrap().remove().unwrap();
}

#[test]
fn what_a_dead_owner_left_is_replaced() {
    let (_guard, home) = home();
    let left = home.path().join("a");
    fs_err::create_dir_all(left.join("drives")).unwrap();
    fs_err::write(left.join("drives/rootfs-disk.ext4"), "old").unwrap();
    let vm = home.claim(&id("a")).unwrap();
    assert!(!vm.path().join("drives").exists());
}

#[test]
fn a_sweep_removes_what_dead_owners_left_and_nothing_else() {
    let (_guard, home) = home();
    let alive = home.claim(&id("alive")).unwrap();
    fs_err::create_dir(home.path().join("dead")).unwrap();
    fs_err::create_dir(home.path().join("not a VM of ours")).unwrap();
    fs_err::write(home.path().join("file"), "").unwrap();
    let report = home.sweep().unwrap();
    assert_eq!(report.removed, [id("dead")]);
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
            let threads: Vec<_> =
                (0..2).map(|_| scope.spawn(|| home.claim(&id("a")).ok())).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(claims.len(), 1, "round {round}");
    }
}

#[test]
fn the_last_child_of_a_dead_owner_is_waited_for() {
    let (_guard, home) = home();
    let dir = home.path().join("dead");
    fs_err::create_dir(&dir).unwrap();
    let mut record = VmRecord::new(id("dead")).unwrap();
    record.owner.start_time += 1;
    record.write(&dir).unwrap();
    let child = try_lock_vm(&dir).unwrap().unwrap();
    let report = std::thread::scope(|scope| {
        let sweep = scope.spawn(|| home.sweep());
        // It holds the lock of the whole directory while it looks at this one's.
        while is_unlocked(&home) && !sweep.is_finished() {}
        drop(child);
        sweep.join().unwrap().unwrap()
    });
    assert_eq!(report.removed, [id("dead")]);
}
