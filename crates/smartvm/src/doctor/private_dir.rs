//! Whether the directories that we work in are ours alone.
//!
//! Who can write into them can swap a drive, a kernel or a socket under a starting machine. They are judged
//! by the code that opens them (`smartvm-dir`), so that what passes here is what will be used.

use std::path::Path;

use rustix::fs::statfs;
use smartvm_dir::{Place, Trust, UnsafeDirectory};

use super::report::{Check, Subject};

/// Where sockets and files of running machines are.
pub(super) const RUNTIME: Subject = Subject { id: "runtime-directory", title: "Runtime directory" };
/// Where kernels and drives are.
pub(super) const DATA: Subject = Subject { id: "data-directory", title: "Data directory" };

/// `TMPFS_MAGIC` of `linux/magic.h`.
const TMPFS_MAGIC: u64 = 0x0102_1994;

pub(super) fn check(subject: Subject, dir: &Path) -> Check {
    let shown = dir.display();
    match Place::examine(dir, Trust::Us) {
        Ok(Place::Missing { parent, writable: true }) => subject.info(format!(
            "{shown} does not exist yet; it would be made in {}, {}",
            parent.display(),
            kind(&parent)
        )),
        Ok(Place::Missing { parent, .. }) => subject.fail(
            format!("{shown} does not exist, and we cannot make it in {}", parent.display()),
            "create it as root and make us its owner, or choose another",
        ),
        Ok(_) => subject.pass(format!("{shown} is ours alone, {}", kind(dir))),
        Err(error) => subject.fail(told(&error), remedy(&error)),
    }
}

/// The error with its cause: a check has one line for both.
fn told(error: &UnsafeDirectory) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn remedy(error: &UnsafeDirectory) -> String {
    match error {
        UnsafeDirectory::WritableByOthers { path, .. } => {
            format!("run `chmod go-w {}`, or choose another", path.display())
        }
        UnsafeDirectory::NotADirectory { .. } | UnsafeDirectory::Link { .. } => {
            "remove it, or choose another".to_owned()
        }
        UnsafeDirectory::ForeignOwner { .. } => {
            "choose one whose path nobody but root and we can change".to_owned()
        }
        _ => "choose a directory that this user may use".to_owned(),
    }
}

fn kind(place: &Path) -> &'static str {
    if is_in_memory(place) { "in memory (tmpfs)" } else { "on disk" }
}

fn is_in_memory(place: &Path) -> bool {
    #[expect(clippy::cast_sign_loss, reason = "magic numbers are bit patterns")]
    statfs(place).is_ok_and(|stat| stat.f_type as u64 == TMPFS_MAGIC)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::super::report::Status;
    use super::*;

    fn set_mode(dir: &Path, mode: u32) {
        fs_err::set_permissions(dir, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_directory_on_this_host_is_judged_as_it_is_when_it_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(check(DATA, dir.path()).status, Status::Pass);
        set_mode(dir.path(), 0o755);
        assert_eq!(check(DATA, dir.path()).status, Status::Pass);
        for mode in [0o777, 0o770, 0o1777] {
            set_mode(dir.path(), mode);
            assert_eq!(check(DATA, dir.path()).status, Status::Fail);
        }
        assert!(check(DATA, dir.path()).found.contains("1777"));
        assert!(check(DATA, dir.path()).remedy.unwrap().contains("chmod go-w"));
    }

    #[test]
    fn a_directory_to_come_depends_on_those_above_it() {
        let dir = tempfile::tempdir().unwrap();
        let new = dir.path().join("a/b");
        assert_eq!(check(DATA, &new).status, Status::Info);
        assert!(!dir.path().join("a").exists());
        set_mode(dir.path(), 0o777);
        assert_eq!(check(DATA, &new).status, Status::Fail);
    }

    #[test]
    fn a_link_is_refused_wherever_it_leads() {
        let dir = tempfile::tempdir().unwrap();
        symlink("/", dir.path().join("good")).unwrap();
        symlink("/nonexistent", dir.path().join("dangling")).unwrap();
        assert_eq!(check(DATA, &dir.path().join("good")).status, Status::Fail);
        assert_eq!(check(DATA, &dir.path().join("dangling")).status, Status::Fail);
    }
}
