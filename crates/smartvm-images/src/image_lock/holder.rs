//! Who holds the lock of an image.
//!
//! The kernel tells which process took a lock. What for, that process says itself: beside the lock it holds a file in
//! memory whose name, which others can read in `/proc`, has the lock's file and the user's words.

use std::ffi::OsStr;
use std::fmt;
use std::fs::Metadata;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

use rustix::fs::{MemfdFlags, memfd_create};

/// What is visible of our file in memory, before its name.
const MEMFD: &str = "/memfd:";
/// The longest name of one, in Linux.
const MAX_NAME: usize = 249;

/// Hangs out who uses a file, for as long as what is returned lives.
pub(super) fn sign(file: &Metadata, who: &str) -> io::Result<OwnedFd> {
    let mut name = format!("{}{who}", beginning(file)).into_bytes();
    name.truncate(MAX_NAME);
    name.retain(|&byte| byte != 0);
    Ok(memfd_create(name.as_slice(), MemfdFlags::CLOEXEC)?)
}

fn beginning(file: &Metadata) -> String {
    format!("smartvm-image:{}:{}:", file.dev(), file.ino())
}

/// Who holds the lock of a file, as far as that can be told.
#[derive(Debug)]
pub(super) struct Holder {
    process: Option<u32>,
    who: Option<String>,
    program: Option<String>,
}

impl Holder {
    /// Looks for the first of them.
    pub(super) fn of(file: &Metadata) -> Self {
        let locks = fs_err::read_to_string("/proc/locks").unwrap_or_default();
        let processes: Vec<_> =
            locks.lines().filter_map(|line| holder_in(line, file.ino())).collect();
        let said = processes.iter().find_map(|&process| Some((process, said_by(process, file)?)));
        // A lock of another file system may have the same number.
        let only = match processes[..] {
            [only] => Some(only),
            _ => None,
        };
        let process = said.as_ref().map(|(process, _)| *process).or(only);
        let program =
            process.and_then(|it| fs_err::read_to_string(format!("/proc/{it}/comm")).ok());
        Self {
            process,
            who: said.map(|(_, who)| who),
            program: program.map(|name| name.trim_end().to_owned()),
        }
    }
}

/// The process in a line of `/proc/locks` about a lock that is held on a file of this number:
/// `12: FLOCK  ADVISORY  WRITE 811 fe:01:1312 0 EOF`.
fn holder_in(line: &str, inode: u64) -> Option<u32> {
    let mut words = line.split_ascii_whitespace().skip(1);
    // Whoever waits for it has an arrow there.
    if words.next() != Some("FLOCK") {
        return None;
    }
    let process = words.nth(2)?.parse().ok()?;
    let file = words.next()?.rsplit(':').next()?;
    (file.parse() == Ok(inode)).then_some(process)
}

/// What a process has hung out about a file.
fn said_by(process: u32, file: &Metadata) -> Option<String> {
    let beginning = format!("{MEMFD}{}", beginning(file));
    let entries = fs_err::read_dir(format!("/proc/{process}/fd")).ok()?;
    entries.filter_map(|entry| fs_err::read_link(entry.ok()?.path()).ok()).find_map(|link| {
        let said = link.as_os_str().as_bytes().strip_prefix(beginning.as_bytes())?;
        let said = said.strip_suffix(b" (deleted)").unwrap_or(said);
        Some(OsStr::from_bytes(said).to_string_lossy().into_owned())
    })
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.process, &self.who, &self.program) {
            (Some(process), Some(who), _) => {
                write!(f, "{} of process {process}", who.escape_debug())
            }
            (Some(process), None, Some(program)) => {
                write!(f, "process {process} (`{}`)", program.escape_debug())
            }
            (Some(process), None, None) => write!(f, "process {process}"),
            (None, ..) => f.write_str("another process"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_kernel_is_read() {
        let held = "2: FLOCK  ADVISORY  WRITE 811 fe:01:1312 0 EOF";
        assert_eq!(holder_in(held, 1312), Some(811));
        assert_eq!(holder_in(held, 312), None);
        assert_eq!(holder_in("2: -> FLOCK  ADVISORY  WRITE 811 fe:01:1312 0 EOF", 1312), None);
        assert_eq!(holder_in("2: POSIX  ADVISORY  WRITE 811 fe:01:1312 0 EOF", 1312), None);
        assert_eq!(holder_in("", 1), None);
    }
}
