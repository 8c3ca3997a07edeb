//! The directory that keeps imported kernels: one directory each, `NAME/{kernel.json,vmlinux,…}`.
//!
//! A kernel appears whole, by a rename, or not at all. Whoever changes the store holds a lock on its
//! directory, so that leftovers of an interrupted import can be told from one that is going on.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags};
use smartvm_dir::{PrivateDir, Trust, UnsafeDirectory};
use thiserror::Error;

use super::import::{ImportKernel, ImportKernelError, import_kernel};
use super::name::check_name;
use super::record::{LoadRecordError, StoredKernel};

/// Directories that are being filled or emptied begin with this; names of kernels cannot.
pub(super) const DRAFT_PREFIX: &str = ".draft-";

/// A directory of imported kernels.
#[derive(Debug, Clone)]
pub struct KernelStore {
    dir: PathBuf,
}

/// The reason why the store could not be used.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct KernelStoreError(#[from] pub(super) StoreProblem);

#[derive(Debug, Error)]
pub(super) enum StoreProblem {
    #[error("the kernel store is not safe")]
    Unsafe(#[source] UnsafeDirectory),
    #[error("`{name}` is not a name for a kernel: {rule}")]
    InvalidName { name: String, rule: &'static str },
    #[error("no kernel `{name}` in the store; there is: {}", list_or_none(available))]
    NotFound { name: String, available: Vec<String> },
    #[error("stored kernel `{name}` cannot be used")]
    Damaged {
        name: String,
        #[source]
        source: LoadRecordError,
    },
    #[error("failed to {action} kernel store `{}`", dir.display())]
    Io {
        action: &'static str,
        dir: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl KernelStoreError {
    /// The stable code of the error.
    pub fn code(&self) -> &'static str {
        match self.0 {
            StoreProblem::Unsafe(
                UnsafeDirectory::Unusable { .. } | UnsafeDirectory::NotADirectory { .. },
            )
            | StoreProblem::Io { .. } => "KERNEL_STORE_FAILED",
            StoreProblem::Unsafe(_) => "KERNEL_STORE_UNSAFE",
            StoreProblem::InvalidName { .. } => "INVALID_KERNEL_NAME",
            StoreProblem::NotFound { .. } => "KERNEL_NOT_FOUND",
            StoreProblem::Damaged { .. } => "KERNEL_DAMAGED",
        }
    }

    /// What the owner of the store can do.
    pub fn hint(&self) -> Option<String> {
        match &self.0 {
            StoreProblem::Unsafe(error) => error.hint(),
            StoreProblem::NotFound { available, .. } if available.is_empty() => {
                Some("import one: smartvm kernel import VMLINUZ --modules DIR".to_owned())
            }
            StoreProblem::Damaged { .. } => {
                Some("remove the kernel from the store and import it again".to_owned())
            }
            StoreProblem::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => Some(
                "free space where the kernels are, or choose another data directory".to_owned(),
            ),
            _ => None,
        }
    }
}

impl KernelStore {
    /// Opens the store in `dir`, creating it for its owner alone (0700) when it is not there.
    ///
    /// # Errors
    /// When `dir` cannot be created, is no directory, belongs to another user than this one or root,
    /// or others may write to it: what is in it will run as a guest's kernel.
    pub fn open(dir: &Path) -> Result<Self, KernelStoreError> {
        let dir = PrivateDir::ensure_for(dir, Trust::UsOrRoot).map_err(StoreProblem::Unsafe)?;
        Ok(Self { dir: dir.path().to_owned() })
    }

    /// The directory of the store, absolute.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Imports a kernel; see [`ImportKernel`] for what is done and taken.
    ///
    /// A kernel of the same name and version is replaced in one step. Waits while another import
    /// into this store is going on.
    ///
    /// # Errors
    /// When the image or the modules are damaged, do not fit each other or are not supported, or the
    /// store cannot be written. Nothing is left in the store then.
    pub fn import(&self, request: &ImportKernel) -> Result<StoredKernel, ImportKernelError> {
        import_kernel(self, request)
    }

    /// The kernel with this name.
    ///
    /// # Errors
    /// `KERNEL_NOT_FOUND` names the kernels there are. Hashes are not read again: see
    /// [`StoredKernel::verify`].
    pub fn get(&self, name: &str) -> Result<StoredKernel, KernelStoreError> {
        check_name(name)?;
        let dir = self.dir.join(name);
        if !dir.is_dir() {
            let available = self.names()?;
            return Err(StoreProblem::NotFound { name: name.to_owned(), available }.into());
        }
        let load = StoredKernel::load(&dir);
        Ok(load.map_err(|source| StoreProblem::Damaged { name: name.to_owned(), source })?)
    }

    /// All kernels, by name. One that cannot be read is left out, with a warning in the log.
    ///
    /// # Errors
    /// When the store's directory cannot be read.
    pub fn list(&self) -> Result<Vec<StoredKernel>, KernelStoreError> {
        let kernels = self.names()?.into_iter().filter_map(|name| {
            let error = match StoredKernel::load(&self.dir.join(&name)) {
                Ok(kernel) => return Some(kernel),
                Err(error) => error,
            };
            tracing::warn!(kernel = name, %error, "left a damaged kernel out of the list");
            None
        });
        Ok(kernels.collect())
    }

    /// The kernel that was imported last.
    ///
    /// # Errors
    /// When the store's directory cannot be read.
    pub fn latest(&self) -> Result<Option<StoredKernel>, KernelStoreError> {
        Ok(self.list()?.into_iter().max_by_key(|kernel| kernel.imported_at_ms))
    }

    /// Removes a kernel; false when there was none of this name. Running guests are not affected:
    /// Firecracker has read the files by then.
    ///
    /// # Errors
    /// When the name is not one, or the files cannot be removed.
    pub fn remove(&self, name: &str) -> Result<bool, KernelStoreError> {
        check_name(name)?;
        let _lock = self.lock()?;
        let fail =
            |source| StoreProblem::Io { action: "remove from", dir: self.dir.clone(), source };
        let doomed = self.dir.join(format!("{DRAFT_PREFIX}removed-{name}"));
        match fs_err::rename(self.dir.join(name), &doomed) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other.map_err(fail)?,
        }
        fs_err::remove_dir_all(&doomed).map_err(fail)?;
        Ok(true)
    }

    /// Locks the store against other writers until the descriptor is dropped, and removes what
    /// interrupted ones left.
    pub(super) fn lock(&self) -> Result<OwnedFd, StoreProblem> {
        let fail =
            |action| move |source| StoreProblem::Io { action, dir: self.dir.clone(), source };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(&self.dir, flags, Mode::empty())
            .map_err(|error| fail("open")(error.into()))?;
        rustix::io::retry_on_intr(|| rustix::fs::flock(&directory, FlockOperation::LockExclusive))
            .map_err(|error| fail("lock")(error.into()))?;
        for entry in fs_err::read_dir(&self.dir).map_err(fail("read"))? {
            let entry = entry.map_err(fail("read"))?;
            if entry.file_name().to_string_lossy().starts_with(DRAFT_PREFIX) {
                fs_err::remove_dir_all(entry.path()).map_err(fail("clean"))?;
            }
        }
        Ok(directory)
    }

    fn names(&self) -> Result<Vec<String>, StoreProblem> {
        let fail = |source| StoreProblem::Io { action: "read", dir: self.dir.clone(), source };
        let mut names = Vec::new();
        for entry in fs_err::read_dir(&self.dir).map_err(fail)? {
            let name = entry.map_err(fail)?.file_name();
            names.extend(name.to_str().filter(|name| check_name(name).is_ok()).map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }
}

fn list_or_none(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests;
