use super::*;
use crate::GiveUp;

fn dir() -> (tempfile::TempDir, PrivateDir) {
    let home = tempfile::tempdir().unwrap();
    let dir = PrivateDir::ensure(home.path()).unwrap();
    (home, dir)
}

#[test]
fn a_lock_is_had_by_one_and_let_go_with_its_value() {
    let (_home, dir) = dir();
    assert!(matches!(dir.try_lock("l").unwrap(), LockState::Missing));
    let held = dir.lock("l").unwrap();
    assert!(matches!(dir.try_lock("l").unwrap(), LockState::Held));
    held.leave("a note").unwrap();
    drop(held);
    assert_eq!(dir.lock("l").unwrap().note().unwrap(), "a note");
}

#[test]
fn any_number_have_a_part_in_a_shared_lock() {
    let (_home, dir) = dir();
    let parts = [dir.lock_shared("l").unwrap(), dir.lock_shared("l").unwrap()];
    assert!(matches!(dir.try_lock("l").unwrap(), LockState::Held));
    drop(parts);
    assert!(matches!(dir.try_lock("l").unwrap(), LockState::Ours(_)));
}

#[test]
fn a_lock_that_is_never_given_back_is_told_with_who_has_it() {
    let (_home, dir) = dir();
    let _held = dir.lock("l").unwrap();
    let error = dir.lock("l").unwrap_err();
    let busy = HostLockBusy::of(&error).unwrap();
    assert_eq!(busy.holders().collect::<Vec<_>>(), [std::process::id()]);
    assert!(error.to_string().contains("within 5 s; it is held by process"), "{error}");
    assert!(busy.hint().contains(&std::process::id().to_string()));
}

#[test]
fn a_wait_ends_when_nobody_wants_the_lock_any_more() {
    let (_home, dir) = dir();
    let held = dir.lock("l").unwrap();
    let give_up = GiveUp::default();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| give_up.during(|| dir.lock("l")));
        drop(give_up.on_drop());
        assert_eq!(waiting.join().unwrap().unwrap_err().kind(), io::ErrorKind::Interrupted);
    });
    drop(held);
    // One that is free is had, and what is outside of it does not count.
    let held = give_up.during(|| dir.lock("l")).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| dir.lock("l"));
        drop(held);
        waiting.join().unwrap().unwrap();
    });
}

#[test]
fn who_waits_for_a_lock_that_its_holder_removes_makes_another() {
    let (_home, dir) = dir();
    let held = dir.lock("l").unwrap();
    let next = std::thread::scope(|scope| {
        let next = scope.spawn(|| dir.lock("l"));
        dir.remove_file("l").unwrap();
        drop(held);
        next.join().unwrap().unwrap()
    });
    assert!(matches!(dir.try_lock("l").unwrap(), LockState::Held));
    drop(next);
}
