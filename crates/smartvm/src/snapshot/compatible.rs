//! Whether a snapshot can go on here.

use std::io;

use smartvm_firecracker::{FirecrackerVersion, SnapshotFormat};

use super::cpu::CpuIdentity;
use super::manifest::{SnapshotKind, SnapshotManifest};
use super::name::SnapshotName;

/// A host, as far as a snapshot depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostIdentity {
    /// As in `uname -m`.
    pub architecture: String,
    /// As in `uname -r`.
    pub kernel: String,
    /// The processor.
    pub cpu: CpuIdentity,
}

impl HostIdentity {
    /// This host.
    ///
    /// # Errors
    /// When `/proc/cpuinfo` cannot be read.
    pub fn here() -> io::Result<Self> {
        let system = rustix::system::uname();
        Ok(Self {
            architecture: system.machine().to_string_lossy().into_owned(),
            kernel: system.release().to_string_lossy().into_owned(),
            cpu: CpuIdentity::of_host()?,
        })
    }
}

/// A snapshot that cannot be loaded here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IncompatibleSnapshot {
    /// It holds only what has changed since another one.
    #[error("snapshot {name} is differential and cannot be loaded by itself")]
    Differential {
        /// The snapshot.
        name: SnapshotName,
    },
    /// Its guest is for other processors altogether.
    #[error("snapshot {name} is of a {saved} guest, and this host is {here}")]
    Architecture {
        /// The snapshot.
        name: SnapshotName,
        /// What it was made on.
        saved: String,
        /// What this is.
        here: String,
    },
    /// Firecracker does not read its form.
    #[error(
        "snapshot {name} was written by Firecracker {writer} in form {written}, and Firecracker \
         {reader} reads form {read}"
    )]
    Format {
        /// The snapshot.
        name: SnapshotName,
        /// The Firecracker that wrote it.
        writer: FirecrackerVersion,
        /// The form that it wrote.
        written: SnapshotFormat,
        /// The Firecracker that would load it.
        reader: FirecrackerVersion,
        /// The form that this one reads.
        read: SnapshotFormat,
    },
    /// The guest uses what this processor may not have.
    #[error("snapshot {name} was made on another processor: here is {}", missing.join(", "))]
    Cpu {
        /// The snapshot.
        name: SnapshotName,
        /// What is different here.
        missing: Vec<String>,
    },
}

impl IncompatibleSnapshot {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Differential { .. } => "SNAPSHOT_IS_DIFF",
            Self::Architecture { .. } => "SNAPSHOT_WRONG_ARCH",
            Self::Format { .. } => "SNAPSHOT_WRONG_FORMAT",
            Self::Cpu { .. } => "SNAPSHOT_WRONG_CPU",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Differential { name } => {
                Some(format!("merge it with its base first: smartvm snapshot merge {name}"))
            }
            Self::Architecture { .. } => None,
            Self::Format { writer, .. } => {
                Some(format!("use Firecracker {writer}, or make another snapshot with this one"))
            }
            Self::Cpu { .. } => Some(
                "restore it on a host like the one it was made on; to try it here all the same, \
                 give --accept-other-cpu"
                    .to_owned(),
            ),
        }
    }
}

impl SnapshotManifest {
    /// Whether the snapshot can be loaded on `host`, whatever Firecracker there is. Returns what is
    /// different and may be harmless, in words.
    ///
    /// # Errors
    /// With `accept_other_cpu`, another processor of the same architecture is no error any more.
    pub fn check_host(
        &self,
        host: &HostIdentity,
        accept_other_cpu: bool,
    ) -> Result<Vec<String>, IncompatibleSnapshot> {
        let name = || self.name.clone();
        if self.kind == SnapshotKind::Diff {
            return Err(IncompatibleSnapshot::Differential { name: name() });
        }
        if self.architecture != host.architecture {
            return Err(IncompatibleSnapshot::Architecture {
                name: name(),
                saved: self.architecture.clone(),
                here: host.architecture.clone(),
            });
        }
        let mut warnings = Vec::new();
        let missing = self.cpu.missing_on(&host.cpu);
        if !missing.is_empty() {
            let error = IncompatibleSnapshot::Cpu { name: name(), missing };
            if !accept_other_cpu {
                return Err(error);
            }
            warnings.push(error.to_string());
        }
        if self.host_kernel != host.kernel {
            warnings.push(format!(
                "snapshot {} was made on kernel {}, and this is kernel {}",
                self.name, self.host_kernel, host.kernel
            ));
        }
        Ok(warnings)
    }

    /// Whether this Firecracker reads the snapshot.
    ///
    /// # Errors
    /// When it reads another form.
    pub fn check_firecracker(
        &self,
        reader: &FirecrackerVersion,
        read: SnapshotFormat,
    ) -> Result<(), IncompatibleSnapshot> {
        if read.reads(self.snapshot_format) {
            return Ok(());
        }
        Err(IncompatibleSnapshot::Format {
            name: self.name.clone(),
            writer: self.firecracker_version.clone(),
            written: self.snapshot_format,
            reader: reader.clone(),
            read,
        })
    }
}

#[cfg(test)]
mod tests;
