//! Bringing a distribution's kernel into the store.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use thiserror::Error;

use super::container::{OpenContainerError, open_kernel_containers};
use super::digest::sha256;
use super::draft::Draft;
use super::elf::{self, ElfError};
use super::image::{KernelImage, ParseImageError};
use super::initramfs::build_initramfs;
use super::modules::{PackModulesError, PackedModules, pack_modules};
use super::name::check_name;
use super::payload::UnpackKernelError;
use super::record::{INITRAMFS_FILE, KernelRecord, RECORD_FILE, StoredKernel, VMLINUX_FILE};
use super::store::{KernelStore, KernelStoreError, StoreProblem};
use super::version::KernelVersion;
use crate::regular_file::{ReadFileError, read_regular};

const MAX_IMAGE: u64 = 512 << 20;
const MAX_INIT: u64 = 64 << 20;

/// What to import.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportKernel {
    /// A bzImage such as `/boot/vmlinuz-VERSION`, or an ELF `vmlinux`; either may be compressed, or in an EFI zboot image
    /// or a unified kernel image. At most 512 MiB.
    pub image: PathBuf,
    /// The kernel's `/lib/modules/VERSION`. With it, the drivers and file systems that a guest
    /// needs and the kernel has not built in are packed into an initramfs.
    pub modules: Option<PathBuf>,
    /// The static program that becomes `/init` of the initramfs; needed with `modules`. Alone, it
    /// makes an initramfs for a kernel that has everything built in.
    pub init: Option<PathBuf>,
    /// The name in the store: by default the kernel's version.
    pub name: Option<String>,
}

/// The reason why a kernel was not imported.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct ImportKernelError(#[from] Problem);

#[derive(Debug, Error)]
enum Problem {
    #[error("failed to read the kernel image")]
    ReadImage(#[source] ReadFileError),
    #[error("failed to take the kernel out of `{}`", path.display())]
    OpenContainer {
        path: PathBuf,
        #[source]
        source: OpenContainerError,
    },
    #[error("failed to understand kernel image `{}`", path.display())]
    ParseImage {
        path: PathBuf,
        #[source]
        source: ParseImageError,
    },
    #[error("failed to unpack kernel image `{}`", path.display())]
    Unpack {
        path: PathBuf,
        #[source]
        source: UnpackKernelError,
    },
    #[error("kernel image `{}` does not say which Linux version it is", path.display())]
    NoVersion { path: PathBuf },
    #[error("an initramfs with modules needs an init that loads them")]
    NoInit,
    #[error("failed to read the init program")]
    ReadInit(#[source] ReadFileError),
    #[error("init program `{}` cannot run in a guest", path.display())]
    BadInit {
        path: PathBuf,
        #[source]
        source: ElfError,
    },
    #[error("failed to pack the modules of `{}`", dir.display())]
    Modules {
        dir: PathBuf,
        #[source]
        source: PackModulesError,
    },
    #[error("the store has a kernel `{name}` already, of version {version}")]
    NameTaken { name: String, version: String },
    #[error("failed to use the kernel store")]
    Store(#[source] KernelStoreError),
}

impl ImportKernelError {
    /// The stable code of the error.
    pub fn code(&self) -> &'static str {
        match &self.0 {
            Problem::ReadImage(_) => "KERNEL_UNREADABLE",
            Problem::OpenContainer { source, .. } => source.code(),
            Problem::ParseImage { source, .. } => source.code(),
            Problem::Unpack { source, .. } => source.code(),
            Problem::NoVersion { .. } => "INVALID_KERNEL_IMAGE",
            Problem::NoInit => "INIT_REQUIRED",
            Problem::ReadInit(_) | Problem::BadInit { .. } => "INVALID_INIT",
            Problem::Modules { source, .. } => source.code(),
            Problem::NameTaken { .. } => "KERNEL_EXISTS",
            Problem::Store(source) => source.code(),
        }
    }

    /// What the person who asked for the import can do.
    pub fn hint(&self) -> Option<String> {
        match &self.0 {
            Problem::ReadImage(ReadFileError::NotRegular { .. }) => {
                Some("name a kernel image, such as /boot/vmlinuz-VERSION".to_owned())
            }
            Problem::OpenContainer { source, .. } => source.hint(),
            Problem::ParseImage { source, .. } => source.hint(),
            Problem::Unpack { source, .. } => source.hint(),
            Problem::NoVersion { .. } => Some(
                "import a Linux kernel; another ELF kernel can be booted without an import"
                    .to_owned(),
            ),
            Problem::NoInit => Some("name the static program to run as init".to_owned()),
            Problem::BadInit { .. } => {
                Some("build it with -C target-feature=+crt-static".to_owned())
            }
            Problem::Modules { source, .. } => source.hint(),
            Problem::NameTaken { .. } => {
                Some("give another name, or remove that kernel first".to_owned())
            }
            Problem::Store(source) => source.hint(),
            Problem::ReadImage(_) | Problem::ReadInit(_) => None,
        }
    }
}

impl From<StoreProblem> for Problem {
    fn from(problem: StoreProblem) -> Self {
        Self::Store(problem.into())
    }
}

pub(super) fn import_kernel(
    store: &KernelStore,
    request: &ImportKernel,
) -> Result<StoredKernel, ImportKernelError> {
    // 1. What needs no work to refuse.
    if let Some(name) = &request.name {
        check_name(name).map_err(Problem::from)?;
    }
    if request.modules.is_some() && request.init.is_none() {
        return Err(Problem::NoInit.into());
    }
    // 2. All that is read, before the store is touched.
    let path = &request.image;
    let source = read_regular(path, MAX_IMAGE).map_err(Problem::ReadImage)?;
    let source_sha256 = sha256(&source);
    let source = open_kernel_containers(source)
        .map_err(|source| Problem::OpenContainer { path: path.clone(), source })?;
    let image = KernelImage::parse(&source)
        .map_err(|source| Problem::ParseImage { path: path.clone(), source })?;
    let vmlinux =
        image.vmlinux().map_err(|source| Problem::Unpack { path: path.clone(), source })?;
    let version = image
        .version()
        .or_else(|| KernelVersion::find_in(&vmlinux))
        .ok_or_else(|| Problem::NoVersion { path: path.clone() })?;
    let modules = match &request.modules {
        Some(dir) => pack_modules(dir, &version)
            .map_err(|source| Problem::Modules { dir: dir.clone(), source })?,
        None => PackedModules::default(),
    };
    let initramfs = match &request.init {
        Some(init) => Some(build_initramfs(&read_init(init)?, &modules, &version)),
        None => None,
    };
    // 3. The store.
    let name = request.name.clone().unwrap_or_else(|| version.to_string());
    let record = KernelRecord {
        schema_version: KernelRecord::SCHEMA_VERSION,
        name: name.clone(),
        version: version.to_string(),
        source_sha256,
        vmlinux_sha256: sha256(&vmlinux),
        initramfs_sha256: initramfs.as_deref().map(sha256),
        modules: modules.names,
        built_in_modules: modules.built_in,
        missing_modules: modules.missing,
        imported_at_ms: now_ms(),
    };
    publish(store, &record, &vmlinux, initramfs.as_deref())?;
    Ok(store.get(&name).map_err(Problem::Store)?)
}

fn publish(
    store: &KernelStore,
    record: &KernelRecord,
    vmlinux: &[u8],
    initramfs: Option<&[u8]>,
) -> Result<(), Problem> {
    let _lock = store.lock()?;
    let target = store.dir().join(&record.name);
    if let Ok(existing) = StoredKernel::load(&target)
        && existing.version != record.version
    {
        let (name, version) = (existing.name, existing.version);
        return Err(Problem::NameTaken { name, version });
    }
    let write = || {
        let draft = Draft::create(store.dir())?;
        draft.write(VMLINUX_FILE, vmlinux)?;
        if let Some(initramfs) = initramfs {
            draft.write(INITRAMFS_FILE, initramfs)?;
        }
        let json = serde_json::to_vec_pretty(record)?;
        draft.write(RECORD_FILE, &json)?;
        draft.publish(&target)
    };
    let dir = store.dir().to_owned();
    Ok(write().map_err(|source| StoreProblem::Io { action: "write to", dir, source })?)
}

fn read_init(path: &Path) -> Result<Vec<u8>, Problem> {
    let init = read_regular(path, MAX_INIT).map_err(Problem::ReadInit)?;
    elf::check_static_program(&init)
        .map_err(|source| Problem::BadInit { path: path.to_owned(), source })?;
    Ok(init)
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
