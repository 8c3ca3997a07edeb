//! Whether virtual machines can be jailed here.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::geteuid;

use super::host::existing_ancestor;
use super::options::DoctorOptions;
use super::private_dir;
use super::report::{Check, Status, Subject};
use crate::jail::{UidRange, forbidding_option};

const DIRECTORY: Subject = Subject { id: "jail-directory", title: "Directory of jails" };
const USERS: Subject = Subject { id: "jail-users", title: "Users of jailed machines" };

/// Where jails are made, and who lives in them.
pub(super) fn check(options: &DoctorOptions) -> [Check; 2] {
    if !geteuid().is_root() {
        let why = "only root can jail a machine; others' run as the user that starts them";
        return [DIRECTORY.info(why), USERS.info(why)];
    }
    [
        check_directory(&options.chroot_base, &options.data_dir),
        check_users(options.uid_range, Path::new("/etc")),
    ]
}

fn check_directory(dir: &Path, data_dir: &Path) -> Check {
    let check = private_dir::check(DIRECTORY, dir);
    if check.status == Status::Fail {
        return check;
    }
    match forbidding_option(existing_ancestor(dir)) {
        Some(option) => DIRECTORY.fail(
            format!("the file system of {} is mounted {option}", dir.display()),
            "name a directory where devices and programs are allowed (--jail-dir)",
        ),
        None if !same_file_system(existing_ancestor(dir), existing_ancestor(data_dir)) => DIRECTORY.warn(
            format!("{} is on another file system than {}", dir.display(), data_dir.display()),
            "put both on one, or no snapshot can be made of a jailed machine: it can only write to files \
             of its jail's file system (--jail-dir, --data-dir)",
        ),
        None => check,
    }
}

fn same_file_system(one: &Path, other: &Path) -> bool {
    match (fs_err::metadata(one), fs_err::metadata(other)) {
        (Ok(one), Ok(other)) => one.dev() == other.dev(),
        // Others say so.
        _ => true,
    }
}

fn check_users(range: UidRange, etc: &Path) -> Check {
    let UidRange { first, last } = range;
    match range.check_free(etc) {
        Ok(()) => USERS.pass(format!("{first} to {last}, which are nobody else")),
        Err(error) => {
            let remedy = error.hint().unwrap_or_else(|| "make it readable".to_owned());
            USERS.fail(error.to_string(), remedy)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_that_somebody_has_are_told() {
        let etc = tempfile::tempdir().unwrap();
        fs_err::write(etc.path().join("subuid"), "ann:100000:65536\n").unwrap();
        let taken = check_users(UidRange { first: 100_000, last: 100_009 }, etc.path());
        assert_eq!(taken.status, Status::Fail);
        assert!(taken.found.contains("`ann`"), "{}", taken.found);
        assert_eq!(check_users(UidRange::default(), etc.path()).status, Status::Pass);
    }

    #[test]
    fn a_directory_that_others_may_write_into_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o770);
        fs_err::set_permissions(dir.path(), open).unwrap();
        assert_eq!(check_directory(dir.path(), dir.path()).status, Status::Fail);
    }

    #[test]
    fn jails_on_another_file_system_than_snapshots_are_told() {
        let memory = tempfile::tempdir_in("/dev/shm").unwrap();
        let check = |data_dir: &str| check_directory(memory.path(), Path::new(data_dir));
        let other = check("/proc");
        assert!(other.remedy.unwrap().contains("snapshot"), "{}", other.found);
        assert!(!check(memory.path().to_str().unwrap()).found.contains("another file system"));
    }
}
