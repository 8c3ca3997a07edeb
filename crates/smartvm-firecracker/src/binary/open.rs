//! Checking a file before it is run.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::elf::{ProgramKind, read_kind};

/// A Firecracker program that was checked as far as that goes without running it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirecrackerBinary {
    path: PathBuf,
}

impl FirecrackerBinary {
    /// Checks that `path` is a regular file that this user may execute and that is a program for
    /// this machine. Nothing is run; whether it is Firecracker tells
    /// [`FirecrackerBinary::version`].
    ///
    /// # Errors
    /// One for each of these conditions; see [`OpenBinaryError::code`].
    pub fn open(path: &Path) -> Result<Self, OpenBinaryError> {
        let path = path.to_owned();
        let metadata = match fs_err::metadata(&path) {
            Ok(metadata) => metadata,
            Err(source) if is_absent(&source) => {
                return Err(OpenBinaryError::NotFound { places: vec![path] });
            }
            Err(source) => return Err(OpenBinaryError::Read { path, source }),
        };
        if !metadata.is_file() {
            return Err(OpenBinaryError::NotAFile { path });
        }
        // With the effective user's rights, which are those that exec asks for.
        if let Err(errno) = accessat(CWD, &path, Access::EXEC_OK, AtFlags::EACCESS) {
            return Err(OpenBinaryError::NotExecutable { path, source: errno.into() });
        }
        match fs_err::File::open(&path).and_then(|file| read_kind(file, std::env::consts::ARCH)) {
            Ok(ProgramKind::Native) => Ok(Self { path }),
            Ok(ProgramKind::Foreign(machine)) => Err(OpenBinaryError::WrongArch { path, machine }),
            Ok(ProgramKind::NotElf) => Err(OpenBinaryError::NotAProgram { path }),
            Err(source) => Err(OpenBinaryError::Read { path, source }),
        }
    }

    /// Where the program is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// No usable Firecracker program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenBinaryError {
    /// There is no such file, in any of the places looked at.
    #[error("found no Firecracker at {}", list(places))]
    NotFound {
        /// Where it was looked for, in that order.
        places: Vec<PathBuf>,
    },
    /// A directory, device or the like.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// The path given.
        path: PathBuf,
    },
    /// The file may not be executed by this user.
    #[error("{} may not be executed", path.display())]
    NotExecutable {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The program is for another kind of machine.
    #[error(
        "{} is a program for {}, this machine is {}",
        path.display(), machine.unwrap_or("another machine"), std::env::consts::ARCH
    )]
    WrongArch {
        /// The file.
        path: PathBuf,
        /// The machine it is for, where its name is known.
        machine: Option<&'static str>,
    },
    /// The file is not an ELF program.
    #[error("{} is not a program (no ELF header)", path.display())]
    NotAProgram {
        /// The file.
        path: PathBuf,
    },
    /// The file could not be looked at.
    #[error("failed to examine {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

impl OpenBinaryError {
    /// A stable name of the kind of failure.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "FIRECRACKER_NOT_FOUND",
            Self::NotExecutable { .. } | Self::Read { .. } => "FIRECRACKER_NOT_EXECUTABLE",
            Self::WrongArch { .. } => "FIRECRACKER_WRONG_ARCH",
            Self::NotAFile { .. } | Self::NotAProgram { .. } => "NOT_FIRECRACKER",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { .. } => Some(
                "install it with `smartvm firecracker install`, or name the program explicitly"
                    .to_owned(),
            ),
            Self::NotExecutable { path, .. } => Some(format!(
                "run `chmod +x {}`, and check that its file system is not mounted noexec",
                path.display()
            )),
            Self::WrongArch { .. } => {
                Some(format!("download the release for {}", std::env::consts::ARCH))
            }
            Self::NotAProgram { .. } => {
                Some("name the program itself, not its archive nor a script around it".to_owned())
            }
            Self::NotAFile { .. } | Self::Read { .. } => None,
        }
    }
}

/// Whether the error says that there is no such file.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn list(places: &[PathBuf]) -> String {
    let places: Vec<_> = places.iter().map(|place| place.display().to_string()).collect();
    places.join(", ")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn code(path: &Path) -> &'static str {
        FirecrackerBinary::open(path).unwrap_err().code()
    }

    #[test]
    fn a_program_of_this_machine_is_accepted() {
        assert_eq!(FirecrackerBinary::open("/bin/sh".as_ref()).unwrap().path(), "/bin/sh");
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(code(&dir.path().join("firecracker")), "FIRECRACKER_NOT_FOUND");
        assert_eq!(code(Path::new("/dev/null/firecracker")), "FIRECRACKER_NOT_FOUND");
    }

    #[test]
    fn a_directory_is_not_firecracker() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(code(dir.path()), "NOT_FIRECRACKER");
    }

    #[test]
    fn a_file_without_execute_permission_is_named_with_its_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("firecracker");
        fs_err::write(&path, b"\x7fELF").unwrap();
        let error = FirecrackerBinary::open(&path).unwrap_err();
        assert_eq!(error.code(), "FIRECRACKER_NOT_EXECUTABLE");
        assert!(error.hint().unwrap().contains("chmod +x"));
    }

    #[test]
    fn a_script_is_not_firecracker() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("firecracker");
        fs_err::write(&path, "#!/bin/sh\nexec /usr/bin/firecracker \"$@\"\n").unwrap();
        fs_err::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(code(&path), "NOT_FIRECRACKER");
    }
}
