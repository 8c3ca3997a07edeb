use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::disk::DiskUse;

const MIB: u64 = 1 << 20;

struct Case {
    dir: tempfile::TempDir,
    ledger: DiskLedger,
}

impl Case {
    fn with_budget(budget: Option<u64>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs_err::set_permissions(dir.path(), PermissionsExt::from_mode(0o700)).unwrap();
        let options = SmartVmOptions {
            data_dir: dir.path().join("data"),
            disk_budget: budget,
            ..SmartVmOptions::default()
        };
        Self { ledger: DiskLedger::from(&options), dir }
    }

    fn owner(&self, what: &str, logs: u64) -> DiskUse {
        DiskUse::new(self.ledger.clone(), what.to_owned(), logs, Default::default())
    }

    /// A new file without data that may become so large.
    fn growing(&self, name: &str, bytes: u64) -> Growing {
        let path = self.dir.path().join(name);
        fs_err::File::create(&path).unwrap().set_len(bytes).unwrap();
        Growing { path, bytes, is_shared: false }
    }
}

#[test]
fn what_does_not_fit_into_the_budget_is_refused_with_the_figures() {
    let case = Case::with_budget(Some(10 * MIB));
    let first = case.owner("VM a", 0);
    first.admit(vec![case.growing("a", 6 * MIB)]).unwrap();
    let second = case.owner("VM b", 0);
    let error = second.admit(vec![case.growing("b", 5 * MIB)]).unwrap_err();
    assert_eq!(error.code(), "DISK_BUDGET_EXCEEDED");
    let DiskRefused::OverBudget { needed, budget, used, promised, .. } = error else { panic!() };
    assert_eq!((needed, budget, used, promised), (5 * MIB, 10 * MIB, 0, 6 * MIB));
    second.admit(vec![case.growing("c", 4 * MIB)]).unwrap();
    drop(first);
    case.owner("VM d", 0).admit(vec![case.growing("d", 6 * MIB)]).unwrap();
}

#[test]
fn images_and_snapshots_count_and_logs_with_all_that_they_may_take() {
    let case = Case::with_budget(Some(10 * MIB));
    fs_err::create_dir_all(case.dir.path().join("data/kernels")).unwrap();
    fs_err::set_permissions(case.dir.path().join("data"), PermissionsExt::from_mode(0o700))
        .unwrap();
    fs_err::write(case.dir.path().join("data/kernels/k"), vec![1; 4 << 20]).unwrap();
    let used = case.ledger.state().unwrap().used;
    assert!((4 * MIB..5 * MIB).contains(&used), "{used}");
    case.owner("VM a", 7 * MIB).admit_logs().unwrap_err();
    let one = case.owner("VM a", 5 * MIB);
    one.admit_logs().unwrap();
    let state = case.ledger.state().unwrap();
    assert_eq!((state.budget, state.promised), (Some(10 * MIB), 5 * MIB));
    assert_eq!(case.ledger.check("an image", 2 * MIB).unwrap_err().code(), "DISK_BUDGET_EXCEEDED");
    case.ledger.check("an image", 1).unwrap();
}

#[test]
fn without_a_budget_what_others_may_still_write_is_not_free() {
    let case = Case::with_budget(None);
    let FreeSpace { free, reserve } =
        FreeSpace::at(fs_err::File::open(case.dir.path()).unwrap()).unwrap();
    let most = free - reserve;
    let first = case.owner("VM a", 0);
    first.admit(vec![case.growing("a", most / 4 * 3)]).unwrap();
    let error = case.owner("VM b", 0).admit(vec![case.growing("b", most / 4 * 3)]).unwrap_err();
    assert_eq!(error.code(), "DISK_NO_ROOM");
    assert!(error.hint().is_some());
    let shared = Growing { is_shared: true, ..case.growing("c", most / 4 * 3) };
    case.owner("VM c", 0).admit(vec![shared]).unwrap();
    drop(first);
    case.owner("VM d", 0).admit(vec![case.growing("d", most / 4 * 3)]).unwrap();
}

#[test]
fn a_file_that_is_gone_counts_no_more_and_one_in_the_place_of_another_does() {
    let case = Case::with_budget(Some(10 * MIB));
    let owner = case.owner("VM a", 0);
    let first = case.growing("a", 6 * MIB);
    owner.admit(vec![first.clone()]).unwrap();
    let larger = Growing { path: first.path.clone(), ..case.growing("a.new", 9 * MIB) };
    fs_err::remove_file(case.dir.path().join("a.new")).unwrap();
    owner.admit(vec![larger]).unwrap();
    assert_eq!(case.ledger.state().unwrap().promised, 9 * MIB);
    fs_err::remove_file(&first.path).unwrap();
    assert_eq!(case.ledger.state().unwrap().promised, 0);
}

#[test]
fn looking_makes_nothing() {
    let case = Case::with_budget(Some(MIB));
    let state = case.ledger.state().unwrap();
    assert_eq!((state.used, state.promised), (0, 0));
    assert!(!case.dir.path().join("data").exists());
}
