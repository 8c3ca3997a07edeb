//! From a directory such as `/lib/modules/6.1.0-56-amd64` to the modules that go into an initramfs.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::index::{ModuleIndex, ParseModulesError, file_stem};
use super::object::{ReadModuleError, built_for, read_module};
use super::scan::scan_modules;
use crate::kernel::version::KernelVersion;
use crate::regular_file::{ReadFileError, read_regular};

/// `modules.alias`, the largest of the index files, has about 1 MiB.
const MAX_INDEX: u64 = 32 << 20;
/// What all the modules together may take of a guest's memory.
const MAX_MODULES: usize = 256 << 20;

/// Modules, read and unpacked, in the order to load them in.
#[derive(Debug, Default)]
pub(in crate::kernel) struct PackedModules {
    /// Path below `/lib/modules/VERSION`, and contents.
    pub(in crate::kernel) files: Vec<(String, Vec<u8>)>,
    /// Names, in the same order.
    pub(in crate::kernel) names: Vec<String>,
    pub(in crate::kernel) built_in: Vec<String>,
    pub(in crate::kernel) missing: Vec<String>,
}

/// The reason why a directory's modules could not be packed.
#[derive(Debug, Error)]
pub(in crate::kernel) enum PackModulesError {
    #[error("failed to open `{}`", dir.display())]
    Open {
        dir: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("failed to read the index of the modules")]
    ReadIndex(#[source] ReadFileError),
    #[error("failed to understand the index of the modules")]
    ParseIndex(#[source] ParseModulesError),
    #[error("the modules are for kernel {found} and the image is {expected}")]
    WrongVersion { found: String, expected: KernelVersion },
    #[error("the kernel has neither built in nor as a module: {}", names.join(" or "))]
    Missing { names: &'static [&'static str] },
    #[error("failed to read module {name}")]
    Read {
        name: String,
        #[source]
        source: ReadModuleError,
    },
    #[error("there are no modules in `{}`", dir.display())]
    NoModules { dir: PathBuf },
    #[error("there are more than {limit} modules")]
    TooMany { limit: usize },
    #[error("the needed modules exceed {limit} bytes")]
    TooLarge { limit: usize },
}

impl PackModulesError {
    pub(in crate::kernel) fn code(&self) -> &'static str {
        match self {
            Self::WrongVersion { .. } => "MODULES_WRONG_VERSION",
            Self::Missing { .. } => "MODULE_MISSING",
            Self::Read { source: ReadModuleError::Find { .. }, .. } => "MODULE_MISSING",
            _ => "INVALID_MODULES",
        }
    }

    pub(in crate::kernel) fn hint(&self) -> Option<String> {
        match self {
            Self::Open { .. } | Self::ReadIndex(_) | Self::NoModules { .. } => Some(
                "name the directory that has the kernel's modules, such as /lib/modules/VERSION"
                    .to_owned(),
            ),
            Self::WrongVersion { expected, .. } => {
                Some(format!("name the modules of this very kernel: /lib/modules/{expected}"))
            }
            Self::Missing { .. } => Some(
                "use a kernel with virtio drivers: a distribution's generic or cloud kernel"
                    .to_owned(),
            ),
            Self::Read { source: ReadModuleError::Find { .. }, .. } => {
                Some("the kernel's package is installed in part: install it again".to_owned())
            }
            _ => None,
        }
    }
}

/// Reads the modules that a guest needs and the kernel `version` has not built in.
pub(in crate::kernel) fn pack_modules(
    dir: &Path,
    version: &KernelVersion,
) -> Result<PackedModules, PackModulesError> {
    let root = fs_err::canonicalize(dir)
        .map_err(|source| PackModulesError::Open { dir: dir.to_owned(), source })?;
    check_directory_name(&root, version)?;
    let index = read_index(&root)?;
    let plan = index.plan().map_err(|names| PackModulesError::Missing { names })?;
    let mut packed =
        PackedModules { built_in: plan.built_in, missing: plan.missing, ..Default::default() };
    let mut total = 0;
    for name in plan.load {
        let path = &index.modules[&name].path;
        let bytes = read_module(&root, path)
            .map_err(|source| PackModulesError::Read { name: name.clone(), source })?;
        if let Some(found) = built_for(&bytes).filter(|found| *found != version.as_str()) {
            let found = found.chars().take(64).collect();
            return Err(PackModulesError::WrongVersion { found, expected: version.clone() });
        }
        total += bytes.len();
        if total > MAX_MODULES {
            return Err(PackModulesError::TooLarge { limit: MAX_MODULES });
        }
        packed.files.push((uncompressed_name(path), bytes));
        packed.names.push(name);
    }
    Ok(packed)
}

/// A directory named like a version says at once when it is the wrong one, even where no module is
/// needed that could say so.
fn check_directory_name(root: &Path, version: &KernelVersion) -> Result<(), PackModulesError> {
    let name = root.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match name.parse::<KernelVersion>() {
        Ok(found) if found != *version => Err(PackModulesError::WrongVersion {
            found: found.to_string(),
            expected: version.clone(),
        }),
        _ => Ok(()),
    }
}

fn read_index(root: &Path) -> Result<ModuleIndex, PackModulesError> {
    let required =
        |file| read_regular(&root.join(file), MAX_INDEX).map_err(PackModulesError::ReadIndex);
    // A kernel without soft dependencies, or with nothing built in, may come without these.
    let optional = |file| match root.join(file).try_exists() {
        Ok(false) => Ok(Vec::new()),
        _ => required(file),
    };
    let builtin = optional("modules.builtin")?;
    if let Ok(false) = root.join("modules.dep").try_exists() {
        return scan_modules(root, &builtin);
    }
    let mut index = ModuleIndex::parse(&required("modules.dep")?, &builtin)
        .map_err(PackModulesError::ParseIndex)?;
    index
        .add_soft_dependencies(&optional("modules.softdep")?, &optional("modules.alias")?)
        .map_err(PackModulesError::ParseIndex)?;
    Ok(index)
}

fn uncompressed_name(path: &str) -> String {
    file_stem(path).map_or_else(|| path.to_owned(), |stem| format!("{stem}.ko"))
}

#[cfg(test)]
mod tests;
