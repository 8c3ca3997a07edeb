//! Who has a lock.

use std::fmt;
use std::os::unix::fs::MetadataExt;

use fs_err::File;
use rustix::fs::{major, minor};

/// A process that has a lock, as `/proc` tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) pid: u32,
    name: String,
    state: Option<char>,
}

impl Holder {
    /// All that have a lock on the file. None when that cannot be seen: the error is told without.
    pub(crate) fn all_of(file: &File) -> Vec<Self> {
        let Ok(found) = file.metadata() else { return Vec::new() };
        let locks = fs_err::read_to_string("/proc/locks").unwrap_or_default();
        let device = format!("{:02x}:{:02x}", major(found.dev()), minor(found.dev()));
        let mut pids = holders(&locks, &device, found.ino());
        // A process can have several files open on one lock.
        pids.dedup();
        pids.into_iter().map(Self::of).collect()
    }

    pub(crate) fn is_stopped(&self) -> bool {
        matches!(self.state, Some('T' | 't'))
    }

    fn of(pid: u32) -> Self {
        let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let (name, state) = name_and_state(&stat);
        Self { pid, name, state }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.pid)?;
        if !self.name.is_empty() {
            write!(f, " ({})", self.name)?;
        }
        let state = match self.state {
            Some('T') => "stopped by a signal",
            Some('t') => "stopped by a debugger",
            Some('D') => "waiting for a disk or a device",
            Some('Z' | 'X' | 'x') => "ended",
            Some('R') => "running",
            Some('S' | 'I') => "sleeping",
            _ => return Ok(()),
        };
        write!(f, ", {state}")
    }
}

/// The name of a process, which may itself hold parentheses, and the letter of its state.
fn name_and_state(stat: &str) -> (String, Option<char>) {
    let Some((before, fields)) = stat.rsplit_once(')') else { return (String::new(), None) };
    let name = before.split_once('(').map_or("", |(_, name)| name);
    (name.to_owned(), fields.trim_start().chars().next())
}

/// Who has `flock` on the file, from `/proc/locks`: of lines such as
/// `1: FLOCK  ADVISORY  WRITE 4321 00:1a:77 0 EOF`, those that do not wait (`->`).
fn holders(locks: &str, device: &str, inode: u64) -> Vec<u32> {
    let file = format!("{device}:{inode}");
    let pid = |line: &str| {
        let mut words = line.split_ascii_whitespace().skip(1);
        if words.next() != Some("FLOCK") {
            return None;
        }
        let (pid, found) = (words.nth(2)?, words.next()?);
        (found == file).then(|| pid.parse().ok())?
    };
    locks.lines().filter_map(pid).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_are_told_from_those_who_wait_and_from_other_locks() {
        let locks = "\
1: FLOCK  ADVISORY  WRITE 4321 00:1a:77 0 EOF
1: -> FLOCK  ADVISORY  WRITE 4322 00:1a:77 0 EOF
2: POSIX  ADVISORY  WRITE 4323 00:1a:77 0 EOF
3: FLOCK  ADVISORY  READ  4324 00:1a:78 0 EOF
4: FLOCK  ADVISORY  READ  4325 00:1b:77 0 EOF
";
        assert_eq!(holders(locks, "00:1a", 77), [4321]);
    }

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_state() {
        let (name, state) = name_and_state("7 (a) S 1 (b) T 1 7 7 0");
        assert_eq!((name.as_str(), state), ("a) S 1 (b", Some('T')));
        assert_eq!(name_and_state(""), (String::new(), None));
    }
}
