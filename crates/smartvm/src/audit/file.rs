//! The file of the audit log, which several processes write to.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use fs_err::File;
use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::fs::OFlags;
use smartvm_dir::PrivateDir;

/// The name of the file that is written to.
pub(super) const NAME: &str = "audit.jsonl";

/// How many older ones are kept.
pub(super) const KEPT: usize = 4;

/// How large a file becomes, in bytes.
const LIMIT: u64 = 8 << 20;

/// The end of the log. Opened when the first line comes, and again when another process has moved it.
#[derive(Debug)]
pub(super) struct AuditFile {
    dir: PathBuf,
    limit: u64,
    open: Option<File>,
}

impl AuditFile {
    pub(super) const fn new(dir: PathBuf) -> Self {
        Self { dir, limit: LIMIT, open: None }
    }

    /// Writes one line, which has its end.
    pub(super) fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let path = self.dir.join(NAME);
        let mut file = match self.open.take() {
            Some(file) if is_at(&file, &path)? => file,
            _ => self.open(&path)?,
        };
        let length = u64::try_from(line.len()).map_err(io::Error::other)?;
        if file.metadata()?.len().saturating_add(length) > self.limit {
            file = self.rotate(file, &path)?;
        }
        // One call: lines of several processes do not mix.
        let written = file.write_all(line);
        self.open = Some(file);
        written
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        PrivateDir::ensure(&self.dir).map_err(io::Error::other)?;
        let mut options = fs_err::OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600);
        options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
        let mut file = options.open(path)?;
        let found = file.metadata()?;
        if !found.is_file() || found.uid() != rustix::process::geteuid().as_raw() {
            let message = "it is not a file of ours";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        if found.mode() & 0o077 != 0 {
            file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        }
        finish_cut_line(&mut file)?;
        Ok(file)
    }

    /// Moves the file aside, unless another process has, or is about to.
    fn rotate(&self, file: File, path: &Path) -> io::Result<File> {
        let lock = open_lock(&self.dir)?;
        match lock.file().try_lock() {
            Ok(()) => {}
            // A process that is stopped in the middle of it must not let the file grow for ever.
            Err(std::fs::TryLockError::WouldBlock) if file.metadata()?.len() < 2 * self.limit => {
                return Ok(file);
            }
            Err(std::fs::TryLockError::WouldBlock) => {
                let message = "it is full, and another process moves it aside";
                return Err(io::Error::new(io::ErrorKind::WouldBlock, message));
            }
            Err(std::fs::TryLockError::Error(error)) => return Err(error),
        }
        if !is_at(&file, path)? {
            return self.open(path);
        }
        for number in (1..KEPT).rev() {
            match fs_err::rename(older(&self.dir, number), older(&self.dir, number + 1)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                moved => moved?,
            }
        }
        fs_err::rename(path, older(&self.dir, 1))?;
        self.open(path)
    }
}

/// Where an older file is; the first is the newest.
pub(super) fn older(dir: &Path, number: usize) -> PathBuf {
    dir.join(format!("{NAME}.{number}"))
}

fn open_lock(dir: &Path) -> io::Result<File> {
    let mut options = fs_err::OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options.open(dir.join(".lock"))
}

/// Whether the open file is the one with that name.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let found = match fs_err::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        found => found?,
    };
    let ours = file.metadata()?;
    Ok((found.dev(), found.ino()) == (ours.dev(), ours.ino()))
}

/// Ends a line that a killed process, or a full disk, left without its end: only that one is lost.
fn finish_cut_line(file: &mut File) -> io::Result<()> {
    if file.metadata()?.len() == 0 {
        return Ok(());
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    if last == *b"\n" { Ok(()) } else { file.write_all(b"\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small(dir: &Path) -> AuditFile {
        AuditFile { limit: 100, ..AuditFile::new(dir.to_owned()) }
    }

    fn lines(dir: &Path) -> usize {
        let files = (1..=KEPT).map(|number| older(dir, number)).chain([dir.join(NAME)]);
        files.filter_map(|path| Some(fs_err::read_to_string(path).ok()?.lines().count())).sum()
    }

    #[test]
    fn it_is_private_and_bounded_whatever_is_written() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("audit");
        let mut file = small(&dir);
        for number in 0..1000 {
            file.append(format!("{{\"line\":{number:04}}}\n").as_bytes()).unwrap();
        }
        let names: Vec<_> = fs_err::read_dir(&dir)
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_name() != ".lock")
            .collect();
        assert_eq!(names.len(), 1 + KEPT);
        for entry in names {
            let found = entry.metadata().unwrap();
            assert!(found.len() <= 100 && found.mode() & 0o777 == 0o600, "{entry:?}");
        }
        let newest = fs_err::read_to_string(dir.join(NAME)).unwrap();
        assert!(newest.ends_with("{\"line\":0999}\n"), "{newest}");
    }

    #[test]
    fn two_writers_lose_nothing_to_each_others_rotation() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("audit");
        let mut writers = [small(&dir), small(&dir)];
        let mut before = 0;
        for number in 0..20 {
            writers[number % 2].append(b"{\"a\":\"twenty bytes\"}\n").unwrap();
            let now = lines(&dir);
            assert_eq!(now, before + 1, "after {number}");
            before = now;
        }
    }

    #[test]
    fn a_line_that_was_cut_costs_only_itself() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("audit");
        small(&dir).append(b"{\"whole\":1}\n{\"cut").unwrap();
        small(&dir).append(b"{\"next\":1}\n").unwrap();
        let text = fs_err::read_to_string(dir.join(NAME)).unwrap();
        assert_eq!(text, "{\"whole\":1}\n{\"cut\n{\"next\":1}\n");
    }

    #[test]
    fn a_link_in_its_place_is_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("audit");
        small(&dir).append(b"{}\n").unwrap();
        let victim = home.path().join("victim");
        fs_err::write(&victim, "untouched").unwrap();
        fs_err::remove_file(dir.join(NAME)).unwrap();
        std::os::unix::fs::symlink(&victim, dir.join(NAME)).unwrap();
        small(&dir).append(b"{}\n").unwrap_err();
        assert_eq!(fs_err::read_to_string(&victim).unwrap(), "untouched");
    }

    #[test]
    fn a_process_that_stopped_while_it_moved_the_file_lets_it_grow_to_a_bound_only() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("audit");
        let mut file = small(&dir);
        file.append(b"{}\n").unwrap();
        let stopped = open_lock(&dir).unwrap();
        stopped.file().lock().unwrap();
        let refused = (0..1000).filter(|_| file.append(b"{\"a\":\"twenty bytes\"}\n").is_err());
        assert!(refused.count() > 900);
        assert!(fs_err::metadata(dir.join(NAME)).unwrap().len() <= 220);
        drop(stopped);
        file.append(b"{}\n").unwrap();
        assert_eq!(fs_err::read_to_string(dir.join(NAME)).unwrap(), "{}\n");
    }
}
