//! What every benchmark needs: the real Firecracker, a guest of a few bytes, private directories.

use std::path::PathBuf;

use smartvm::{BootSourceConfig, JailMode, MachineConfig, SmartVm, SmartVmOptions, VmConfig};
use smartvm_testkit::fixtures;
use smartvm_testkit::tiny_guest::TinyGuest;
use tempfile::TempDir;

/// A directory in memory with a guest in it.
pub(crate) struct Setup {
    pub(crate) home: TempDir,
    pub(crate) firecracker: PathBuf,
    pub(crate) kernel: PathBuf,
}

impl Setup {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let home = tempfile::Builder::new().prefix("svb").tempdir_in("/dev/shm")?;
        let kernel = home.path().join("guest");
        TinyGuest::halts().write_to(&kernel)?;
        Ok(Self { firecracker: fixtures::firecracker(), kernel, home })
    }

    pub(crate) fn manager(&self) -> anyhow::Result<SmartVm> {
        self.manager_with(JailMode::Off)
    }

    pub(crate) fn manager_with(&self, jail: JailMode) -> anyhow::Result<SmartVm> {
        Ok(SmartVm::new(SmartVmOptions {
            data_dir: self.home.path().join("data"),
            runtime_dir: self.home.path().join("run"),
            firecracker_binary_path: Some(self.firecracker.clone()),
            jail,
            ..SmartVmOptions::default()
        })?)
    }

    pub(crate) fn config(&self) -> VmConfig {
        VmConfig {
            boot_source: BootSourceConfig {
                kernel_image_path: self.kernel.clone(),
                ..BootSourceConfig::default()
            },
            machine_config: MachineConfig::new(1, 32),
            ..VmConfig::default()
        }
    }
}
