//! Bringing a release in: checksum, archive, programs, and the rename that makes it whole.

use std::io::{self, BufReader};
use std::path::Path;
use std::sync::Arc;

use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::fs::{CWD, RenameFlags};

use super::archive::{Program, ReleaseArchive};
use super::checksum;
use super::release_error::ReleaseError;
use super::source::{ReleaseSource, archive_name};
use super::store::{InstalledRelease, ReleaseStore, remove_tree};
use super::version::ReleaseVersion;
use crate::atomic_file::sync_directory;
use crate::base_image::Arch;
use crate::download::{Download, Downloader, Progress, ProgressEvent};
use crate::file_lock::{FileLock, blocking};
use crate::shown_url::ShownUrl;

/// The most bytes of a checksum's file and of an archive.
const MAX_CHECKSUM: u64 = 64 << 10;
const MAX_ARCHIVE: u64 = 512 << 20;

impl ReleaseStore {
    /// Asks for the latest version.
    ///
    /// # Errors
    /// `VERSION_FETCH_FAILED`.
    pub async fn latest(
        source: &ReleaseSource,
        downloader: &Downloader,
    ) -> Result<ReleaseVersion, ReleaseError> {
        let page =
            downloader.final_address(&source.latest()).await.map_err(ReleaseError::Latest)?;
        ReleaseSource::version_of(&page)
            .ok_or_else(|| ReleaseError::NoVersion { url: ShownUrl(&page).to_string() })
    }

    /// Makes sure that a version is installed: downloads its archive, which must hash to the checksum
    /// that is published beside it, and takes the two programs out of it. One that is there is not
    /// asked for again. Any number of callers, also in other processes, cause one download.
    ///
    /// Dropping the future leaves an unfinished archive, which the next call goes on with.
    ///
    /// # Errors
    /// `DOWNLOAD_FAILED`; `FIRECRACKER_WRONG_ARCH` for another processor than this host's.
    pub async fn ensure(
        &self,
        version: ReleaseVersion,
        arch: Arch,
        source: &ReleaseSource,
        downloader: &Downloader,
        progress: &dyn Progress,
    ) -> Result<InstalledRelease, ReleaseError> {
        if arch != Arch::HOST {
            return Err(ReleaseError::OtherArch { asked: arch });
        }
        if self.has(version) {
            return self.get(version);
        }
        let what = archive_name(version, arch);
        let lock_path = self.dir.join(format!("~{version}.lock"));
        let waiting = || progress.report(&ProgressEvent::Waiting { what: &what });
        let lock = FileLock::exclusive(&lock_path, waiting).await;
        let lock = Arc::new(lock.map_err(|source| io_error("lock", &lock_path, source))?);
        if !self.has(version) {
            self.install(version, arch, source, downloader, progress, &lock).await?;
        }
        if let Some(lock) = Arc::into_inner(lock) {
            // What is left otherwise is an empty file.
            let _ = lock.remove();
        }
        self.get(version)
    }

    async fn install(
        &self,
        version: ReleaseVersion,
        arch: Arch,
        source: &ReleaseSource,
        downloader: &Downloader,
        progress: &dyn Progress,
        lock: &Arc<FileLock>,
    ) -> Result<(), ReleaseError> {
        let failed = |source| ReleaseError::Download { version, source };
        let name = archive_name(version, arch);
        let checksum_url = source.checksum(version, arch);
        let text = downloader.fetch_document(&checksum_url, MAX_CHECKSUM).await.map_err(failed)?;
        let sha256 = checksum::parse(&text, &name)
            .map_err(|source| ReleaseError::Checksum { version, source })?;

        let draft = self.dir.join(format!("~draft-{version}"));
        fs_err::create_dir_all(&draft).map_err(|source| io_error("make", &draft, source))?;
        let archive = draft.join(&name);
        let request = Download::new(source.archive(version, arch), &archive, MAX_ARCHIVE)
            .with_sha256(Some(sha256));
        downloader.download(&request, progress).await.map_err(failed)?;

        let (target, lock) = (self.dir.join(version.to_string()), Arc::clone(lock));
        blocking(move || {
            let _lock = lock;
            let unpacked = unpack(&archive, ReleaseArchive { version, arch }, &draft)
                .and_then(|()| publish(&draft.join(PROGRAMS), &target));
            // Whole or hostile, it is of no more use.
            let removed = remove_tree(&draft);
            unpacked.and(removed.map_err(|source| io_error("remove", &draft, source)))
        })
        .await
    }
}

/// The programs, inside the draft.
const PROGRAMS: &str = "programs";

fn unpack(archive: &Path, what: ReleaseArchive, draft: &Path) -> Result<(), ReleaseError> {
    let programs = draft.join(PROGRAMS);
    remove_tree(&programs).map_err(|source| io_error("remove", &programs, source))?;
    fs_err::create_dir(&programs).map_err(|source| io_error("make", &programs, source))?;
    let file = fs_err::File::open(archive).map_err(|source| io_error("open", archive, source))?;
    let open = |program: Program| {
        let path = programs.join(program.as_str());
        fs_err::OpenOptions::new().write(true).create_new(true).mode(0o755).open(path)
    };
    what.unpack_gzip(BufReader::new(file), open)
        .map_err(|source| ReleaseError::Unpack { version: what.version, source })?;
    for program in Program::ALL {
        let path = programs.join(program.as_str());
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs_err::set_permissions(&path, executable)
            .and_then(|()| fs_err::File::open(&path)?.sync_all())
            .map_err(|source| io_error("finish", &path, source))?;
    }
    sync_directory(&programs).map_err(|source| io_error("finish", &programs, source))
}

/// Gives the directory its name, in place of one that lacks a program.
fn publish(programs: &Path, target: &Path) -> Result<(), ReleaseError> {
    let rename = |flags| rustix::fs::renameat_with(CWD, programs, CWD, target, flags);
    let renamed = match rename(RenameFlags::NOREPLACE) {
        Err(rustix::io::Errno::EXIST) => rename(RenameFlags::EXCHANGE),
        other => other,
    };
    let done = renamed.map_err(io::Error::from);
    done.and_then(|()| target.parent().map_or(Ok(()), sync_directory))
        .map_err(|source| io_error("make", target, source))
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> ReleaseError {
    ReleaseError::Io { action, path: path.to_owned(), source }
}
