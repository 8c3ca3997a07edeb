//! What these tests share.

use std::path::{Path, PathBuf};

use smartvm::{
    BootSourceConfig, DriveConfig, JailMode, MachineConfig, MicroVm, SmartVm, SmartVmError,
    SmartVmOptions, VmConfig,
};
use smartvm_testkit::tiny_guest::TinyGuest;
use smartvm_testkit::{TestHome, fixtures};

/// A manager on private directories, which are checked for leaks when it goes.
pub(crate) struct Bench {
    pub(crate) smartvm: SmartVm,
    /// Dropped last: what is left of the VMs then is a leak.
    pub(crate) home: TestHome,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut SmartVmOptions)) -> Self {
        let home = TestHome::new();
        let mut options = SmartVmOptions {
            data_dir: home.data_dir().to_owned(),
            runtime_dir: home.runtime_dir().to_owned(),
            firecracker_binary_path: Some(fixtures::firecracker()),
            // What is not about jails is tested without: it takes half the time.
            jail: JailMode::Off,
            ..SmartVmOptions::default()
        };
        change(&mut options);
        let smartvm = SmartVm::new(options).expect("the directories of a test are sound");
        Self { home, smartvm }
    }

    /// The configuration of a VM that runs `guest`.
    pub(crate) fn config(&self, guest: &TinyGuest) -> VmConfig {
        let kernel = self.file("guest");
        guest.write_to(&kernel).unwrap();
        VmConfig {
            boot_source: BootSourceConfig {
                kernel_image_path: kernel,
                ..BootSourceConfig::default()
            },
            machine_config: MachineConfig::new(1, 32),
            ..VmConfig::default()
        }
    }

    pub(crate) fn vm(&self, guest: &TinyGuest) -> MicroVm {
        self.smartvm.create_vm(&self.config(guest)).unwrap()
    }

    pub(crate) async fn started(&self, guest: &TinyGuest) -> MicroVm {
        let vm = self.vm(guest);
        vm.start().await.unwrap();
        vm
    }

    /// A path for a file of this test.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The entries of the runtime directory that belong to VMs.
    pub(crate) fn vm_dirs(&self) -> Vec<PathBuf> {
        vm_dirs(self.home.runtime_dir())
    }

    /// Shows that a start still works here.
    pub(crate) async fn next_start_works(&self) {
        let vm = self.started(&TinyGuest::halts()).await;
        vm.cleanup().await.unwrap();
    }
}

pub(crate) fn vm_dirs(runtime_dir: &Path) -> Vec<PathBuf> {
    // Those that are being removed are in a directory of their own.
    let dead = runtime_dir.join(".dead");
    let places = [runtime_dir, &dead].into_iter().filter_map(|dir| fs_err::read_dir(dir).ok());
    let paths = places.flatten().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.is_dir() && *path != dead).collect()
}

pub(crate) fn drive(id: &str, path: &Path) -> DriveConfig {
    DriveConfig { drive_id: id.into(), path_on_host: path.to_owned(), ..DriveConfig::default() }
}

/// An error with all its sources, for messages and for searching.
pub(crate) fn whole(error: &SmartVmError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
