//! Getting the lines back.

use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use super::AuditEntry;
use super::file::{KEPT, NAME, older};

/// The longest line that is looked at.
const LINE_LIMIT: u64 = 64 * 1024;

/// An audit log that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the audit log {}", path.display())]
pub struct ReadAuditError {
    path: PathBuf,
    source: io::Error,
}

impl ReadAuditError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "AUDIT_UNREADABLE"
    }
}

/// The lines of the log in `dir` that `wanted` approves of, the oldest first. What is no line of a log,
/// as one that was cut, is skipped. No log at all has no lines.
///
/// # Errors
/// `AUDIT_UNREADABLE` when a file is there and cannot be read.
pub fn read_audit(
    dir: &Path,
    wanted: impl Fn(&AuditEntry) -> bool,
) -> Result<Vec<AuditEntry>, ReadAuditError> {
    let files = (1..=KEPT).rev().map(|number| older(dir, number)).chain([dir.join(NAME)]);
    let mut entries = Vec::new();
    for path in files {
        let file = match fs_err::File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file,
        };
        let read = file.and_then(|file| read_file(file, &wanted, &mut entries));
        read.map_err(|source| ReadAuditError { path, source })?;
    }
    Ok(entries)
}

fn read_file(
    file: fs_err::File,
    wanted: &impl Fn(&AuditEntry) -> bool,
    entries: &mut Vec<AuditEntry>,
) -> io::Result<()> {
    let mut file = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        if io::Read::take(&mut file, LINE_LIMIT).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if let Ok(entry) = serde_json::from_slice::<AuditEntry>(&line)
            && wanted(&entry)
        {
            entries.push(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"time":"2026-11-29T12:00:00Z","uid":0,"pid":1,"way":"process","vm":"a","action":"stop","phase":"asked"}"#;

    #[test]
    fn what_is_no_line_is_skipped_and_older_files_come_first() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read_audit(dir.path(), |_| true).unwrap().is_empty());
        let text =
            format!("{LINE}\n{{\"time\":\"cut\n\u{0}\u{0}\n{LINE}\n{}\n", "x".repeat(200_000));
        fs_err::write(dir.path().join(NAME), text).unwrap();
        fs_err::write(older(dir.path(), 2), LINE.replace("\"a\"", "\"old\"")).unwrap();
        let found = read_audit(dir.path(), |_| true).unwrap();
        let vms: Vec<_> = found.iter().map(|entry| entry.vm.as_deref().unwrap()).collect();
        assert_eq!(vms, ["old", "a", "a"]);
        let none = read_audit(dir.path(), |entry| entry.vm.as_deref() == Some("b")).unwrap();
        assert!(none.is_empty());
    }
}
