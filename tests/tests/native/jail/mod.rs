//! Guests whose Firecracker runs under the real jailer.

mod confinement;
mod drives;
mod faults;
mod foreign_snapshots;
mod lent;
mod planted;
mod recovery;
mod snapshots;
mod users;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use smartvm::{Confinement, JailMode, MicroVm, SmartVmError};
use smartvm_testkit::tiny_guest::TinyGuest;

use crate::support::Bench;

fn bench() -> Bench {
    Bench::with(|options| options.jail = JailMode::Auto)
}

/// A VM in a jail.
struct Jailed {
    vm: MicroVm,
    pid: u32,
    uid: u32,
    gid: u32,
    root: PathBuf,
}

impl Jailed {
    async fn start(vm: MicroVm) -> Self {
        Self::try_start(vm).await.unwrap()
    }

    async fn try_start(vm: MicroVm) -> Result<Self, SmartVmError> {
        let report = vm.start().await?;
        let Some(Confinement::Jailed { uid, gid, root, .. }) = report.confinement else {
            panic!("not jailed: {report:?}");
        };
        let pid = vm.process_id().unwrap();
        Ok(Self { vm, pid, uid, gid, root })
    }

    fn proc(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.pid)).join(name)
    }

    /// One line of `/proc/PID/status`, without its name.
    fn status(&self, field: &str) -> String {
        let status = fs_err::read_to_string(self.proc("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(":\t"));
        line.unwrap_or_else(|| panic!("no {field}")).to_owned()
    }
}

async fn started(bench: &Bench) -> Jailed {
    Jailed::start(bench.vm(&TinyGuest::halts())).await
}

/// Every jail below the bench's directories.
fn jails(bench: &Bench) -> Vec<PathBuf> {
    let base = bench.home.data_dir().join("jail/firecracker");
    let Ok(entries) = fs_err::read_dir(base) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn names(dir: &Path) -> BTreeSet<String> {
    let entries = fs_err::read_dir(dir).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
