//! How much of the disk VMs may still come to take.

use super::report::{Check, Subject};
use crate::disk::{DiskLedger, DiskRefused, DiskState};

const SUBJECT: Subject = Subject { id: "disk-budget", title: "Disk budget" };

const MIB: u64 = 1 << 20;

pub(super) fn check(ledger: &DiskLedger) -> Check {
    judge(ledger.state())
}

fn judge(state: Result<DiskState, DiskRefused>) -> Check {
    let DiskState { budget, used, promised } = match state {
        Ok(state) => state,
        Err(error) => {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            return SUBJECT.warn(
                format!("{error}: {}", source.unwrap_or_default()),
                "see whose the directory is; VMs with private copies of drives cannot be started",
            );
        }
    };
    let taken = format!("{} MiB used, {} MiB promised to running VMs", used / MIB, promised / MIB);
    let check = match budget {
        None => SUBJECT.info(format!("none; {taken}")),
        Some(budget) if used.saturating_add(promised) < budget => {
            SUBJECT.pass(format!("{} MiB; {taken}", budget / MIB))
        }
        Some(budget) => SUBJECT.warn(
            format!("{} MiB; {taken}", budget / MIB),
            "end VMs, remove snapshots and images, or raise it with --disk-budget",
        ),
    };
    let check = check.figure("usedMib", used / MIB).figure("promisedMib", promised / MIB);
    match budget {
        Some(budget) => check.figure("budgetMib", budget / MIB),
        None => check,
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Status;
    use super::*;

    #[test]
    fn a_budget_that_is_used_up_is_warned_of_with_its_figures() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let none = check(&DiskLedger::new(&data, None));
        assert_eq!((none.status, none.figures.len()), (Status::Info, 2));
        let some = check(&DiskLedger::new(&data, Some(4 << 20)));
        assert_eq!((some.status, some.figures["budgetMib"]), (Status::Pass, 4));
        fs_err::create_dir(&data).unwrap();
        fs_err::write(data.join("kernel"), vec![1; 4 << 20]).unwrap();
        let full = check(&DiskLedger::new(&data, Some(4 << 20)));
        assert_eq!((full.status, full.figures["usedMib"]), (Status::Warn, 4));
        assert!(full.remedy.is_some());
    }
}
