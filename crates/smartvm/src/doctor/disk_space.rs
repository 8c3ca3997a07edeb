//! Whether there is room for kernels and drives.

use std::path::Path;

use rustix::fs::statvfs;

use super::host::existing_ancestor;
use super::report::{Check, Subject};

const SUBJECT: Subject = Subject { id: "disk-space", title: "Disk space of the data directory" };

const MIB: u64 = 1 << 20;

/// A kernel of some 50 MiB and one private drive of a usual size.
const ENOUGH_MIB: u64 = 2048;

pub(super) fn check(data_dir: &Path) -> Check {
    let dir = existing_ancestor(data_dir);
    match statvfs(dir) {
        Ok(stat) => judge(dir, stat.f_bavail.saturating_mul(stat.f_frsize) / MIB),
        Err(error) => SUBJECT.warn(
            format!("{} cannot be examined: {error}", dir.display()),
            "choose a data directory that this user may use",
        ),
    }
}

fn judge(dir: &Path, free_mib: u64) -> Check {
    let found = format!("{free_mib} MiB free at {}", dir.display());
    let check = if free_mib >= ENOUGH_MIB {
        SUBJECT.pass(found)
    } else {
        SUBJECT.warn(found, "free some space, or choose another data directory")
    };
    check.figure("freeMib", free_mib)
}

#[cfg(test)]
mod tests {
    use super::super::report::Status;
    use super::*;

    #[test]
    fn little_space_is_warned_of() {
        assert_eq!(judge(Path::new("/data"), 2048).status, Status::Pass);
        let check = judge(Path::new("/data"), 2047);
        assert_eq!((check.status, check.figures["freeMib"]), (Status::Warn, 2047));
    }

    #[test]
    fn a_directory_to_come_is_judged_by_where_it_will_be() {
        let dir = tempfile::tempdir().unwrap();
        let check = check(&dir.path().join("not/yet"));
        assert!(check.found.ends_with(&format!("at {}", dir.path().display())));
    }
}
