//! The unfinished file of a download.

use std::io::{self, Read, Seek, Write};
use std::path::PathBuf;

use fs_err::os::unix::fs::OpenOptionsExt;
use sha2::{Digest, Sha256};

use super::download_error::DownloadError;
use super::part_record::PartRecord;
use super::request::Download;
use crate::Sha256Digest;

const CHUNK: usize = 256 << 10;

/// What has come so far, in a file of its own, and its hash. All methods block.
#[derive(Debug)]
pub(super) struct Part {
    file: fs_err::File,
    record_path: PathBuf,
    hash: Sha256,
    len: u64,
    /// What the rest must carry to fit, when the server gave that.
    validator: Option<String>,
    /// Whether bytes of more than one answer are in it.
    is_pieced: bool,
}

impl Part {
    /// Opens what an earlier try left, when that can be built upon, else an empty file.
    pub(super) fn open(request: &Download) -> Result<Self, DownloadError> {
        let path = request.beside(".part");
        let record_path = request.beside(".part.json");
        let fail = |action| {
            let path = path.clone();
            move |source| DownloadError::Io { action, path, source }
        };
        let no_follow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        let file = fs_err::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            // A jailed VM, which is another user, may be given the file by a link.
            .mode(0o644)
            .custom_flags(no_follow)
            .open(&path)
            .map_err(fail("open"))?;
        let mut part = Self {
            file,
            record_path,
            hash: Sha256::new(),
            len: 0,
            validator: None,
            is_pieced: false,
        };
        match PartRecord::read(&part.record_path, request) {
            Some(record) => {
                part.validator = record.validator;
                part.take_over(request).map_err(fail("read"))?;
            }
            None => part.restart().map_err(fail("empty"))?,
        }
        Ok(part)
    }

    /// Hashes what is there already.
    fn take_over(&mut self, request: &Download) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        loop {
            match self.file.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    self.hash.update(&buffer[..count]);
                    self.len += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.is_pieced = self.len > 0;
        if self.len > request.limit.min(request.size.unwrap_or(u64::MAX)) {
            self.restart()?;
        }
        Ok(())
    }

    /// Forgets all that has come.
    pub(super) fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.hash = Sha256::new();
        self.len = 0;
        self.validator = None;
        self.is_pieced = false;
        Ok(())
    }

    /// Forgets all that has come and notes what a later try must know of what is to come.
    pub(super) fn begin(
        &mut self,
        request: &Download,
        validator: Option<String>,
    ) -> io::Result<()> {
        self.restart()?;
        PartRecord::new(request, validator.clone()).write(&self.record_path)?;
        self.validator = validator;
        Ok(())
    }

    /// Notes that bytes of another answer follow.
    pub(super) fn go_on(&mut self) {
        self.is_pieced = self.len > 0;
    }

    /// Adds bytes.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// How many bytes there are.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// What they hash to.
    pub(super) fn sha256(&self) -> Sha256Digest {
        self.hash.clone().into()
    }

    /// What the rest must carry to fit.
    pub(super) fn validator(&self) -> Option<&str> {
        self.validator.as_deref()
    }

    /// Whether bytes of more than one answer are in it.
    pub(super) fn is_pieced(&self) -> bool {
        self.is_pieced
    }

    /// How many bytes are free where it is.
    pub(super) fn free_bytes(&self) -> io::Result<u64> {
        let info = rustix::fs::fstatvfs(&self.file)?;
        Ok(info.f_bavail.saturating_mul(info.f_frsize))
    }

    /// Makes the bytes last, and gives them the file's name.
    pub(super) fn publish(self, request: &Download) -> io::Result<()> {
        self.file.sync_all()?;
        // First, as nobody looks for it once the file is there: to be killed now costs a download, not litter.
        remove_if_there(&self.record_path)?;
        fs_err::rename(request.beside(".part"), &request.target)?;
        request.target.parent().map_or(Ok(()), crate::atomic_file::sync_directory)
    }

    /// Removes it.
    pub(super) fn remove(self, request: &Download) -> io::Result<()> {
        remove_if_there(&self.record_path)?;
        remove_if_there(&request.beside(".part"))
    }
}

fn remove_if_there(path: &std::path::Path) -> io::Result<()> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
