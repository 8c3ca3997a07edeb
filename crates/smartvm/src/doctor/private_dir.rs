//! Whether the directories that we work in are ours alone.
//!
//! Who can write into them can swap a drive, a kernel or a socket under a starting machine.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::statfs;
use rustix::process::geteuid;

use super::host::existing_ancestor;
use super::report::{Check, Subject};

/// Where sockets and files of running machines are.
pub(super) const RUNTIME: Subject = Subject { id: "runtime-directory", title: "Runtime directory" };
/// Where kernels and drives are.
pub(super) const DATA: Subject = Subject { id: "data-directory", title: "Data directory" };

/// `TMPFS_MAGIC` of `linux/magic.h`.
const TMPFS_MAGIC: u64 = 0x0102_1994;

const WRITABLE_BY_OTHERS: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// What decides whether a directory is ours alone.
#[derive(Debug, Clone, Copy)]
struct Facts {
    is_dir: bool,
    owner: u32,
    mode: u32,
}

pub(super) fn check(subject: Subject, dir: &Path) -> Check {
    let us = geteuid().as_raw();
    // Not following a link: whoever owns it decides where it leads.
    let is_there = fs_err::symlink_metadata(dir).is_ok();
    let place = if is_there { dir } else { existing_ancestor(dir) };
    let facts = match fs_err::symlink_metadata(place) {
        Ok(data) => Facts { is_dir: data.is_dir(), owner: data.uid(), mode: data.mode() },
        Err(error) => return unreadable(subject, &error),
    };
    let kind = if is_in_memory(place) { "in memory (tmpfs)" } else { "on disk" };
    if is_there {
        judge_existing(subject, dir, facts, us, kind)
    } else {
        judge_parent(subject, dir, place, facts, us, kind)
    }
}

fn judge_existing(subject: Subject, dir: &Path, facts: Facts, us: u32, kind: &str) -> Check {
    let shown = dir.display();
    if !facts.is_dir {
        subject.fail(format!("{shown} is not a directory"), "remove it, or choose another")
    } else if facts.owner != us {
        subject.fail(
            format!("{shown} belongs to user {}, not to us (user {us})", facts.owner),
            format!("run `chown {us} {shown}` as root, or choose another"),
        )
    } else if facts.mode & WRITABLE_BY_OTHERS != 0 {
        subject.fail(
            format!("others may write into {shown} (mode {:03o})", facts.mode & 0o777),
            format!("run `chmod 700 {shown}`, or choose another"),
        )
    } else {
        subject.pass(format!("{shown} is ours alone, {kind}"))
    }
}

fn judge_parent(
    subject: Subject,
    dir: &Path,
    parent: &Path,
    facts: Facts,
    us: u32,
    kind: &str,
) -> Check {
    let (shown, parent) = (dir.display(), parent.display());
    let for_all = facts.mode & WRITABLE_BY_OTHERS != 0;
    if !facts.is_dir {
        subject.fail(format!("{parent} is not a directory"), "remove it, or choose another")
    } else if us != 0 && facts.owner != us && !for_all {
        subject.fail(
            format!("{shown} does not exist, and {parent} belongs to user {}", facts.owner),
            "create it as root and make us its owner, or choose another",
        )
    } else if for_all && facts.mode & STICKY == 0 {
        subject.warn(
            format!("{shown} would be made in {parent}, where others could swap it"),
            "choose one in a directory that only we may write into",
        )
    } else {
        subject.info(format!("{shown} does not exist yet; it would be made in {parent}, {kind}"))
    }
}

fn unreadable(subject: Subject, error: &io::Error) -> Check {
    subject.fail(error.to_string(), "choose a directory that this user may use")
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

    fn existing(facts: Facts) -> Status {
        judge_existing(RUNTIME, Path::new("/r"), facts, 1000, "on disk").status
    }

    fn parent(facts: Facts) -> Status {
        judge_parent(RUNTIME, Path::new("/p/r"), Path::new("/p"), facts, 1000, "on disk").status
    }

    const OURS: Facts = Facts { is_dir: true, owner: 1000, mode: 0o700 };

    #[test]
    fn an_existing_directory_must_be_ours_alone() {
        assert_eq!(existing(OURS), Status::Pass);
        assert_eq!(existing(Facts { mode: 0o755, ..OURS }), Status::Pass);
        assert_eq!(existing(Facts { mode: 0o770, ..OURS }), Status::Fail);
        assert_eq!(existing(Facts { mode: 0o1777, ..OURS }), Status::Fail);
        assert_eq!(existing(Facts { owner: 0, ..OURS }), Status::Fail);
        assert_eq!(existing(Facts { is_dir: false, ..OURS }), Status::Fail);
    }

    #[test]
    fn a_directory_to_come_depends_on_its_parent() {
        assert_eq!(parent(OURS), Status::Info);
        assert_eq!(parent(Facts { owner: 0, mode: 0o1777, ..OURS }), Status::Info);
        assert_eq!(parent(Facts { owner: 0, mode: 0o777, ..OURS }), Status::Warn);
        assert_eq!(parent(Facts { owner: 0, mode: 0o755, ..OURS }), Status::Fail);
    }

    #[test]
    fn a_directory_on_this_host_is_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(check(DATA, dir.path()).status, Status::Pass);
        fs_err::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).unwrap();
        assert!(check(DATA, dir.path()).found.contains("777"));
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
