//! A Firecracker that was taken over: whatever it answers, writes or makes of its directory, no file of the host is read,
//! written, given away or removed, memory and time are bounded, other VMs go on, and nothing is left.
//!
//! `smartvm_testkit::hostile_firecracker` is a stand-in that runs under the real jailer; the id of a
//! VM says what it does.

mod answers;
mod files;
mod memory;
mod snapshots;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use smartvm::{Confinement, JailMode, MicroVm, SmartVmError, VmConfig};
use smartvm_testkit::tiny_guest::TinyGuest;
use smartvm_testkit::{fixtures, hostile_firecracker};

use crate::support::{Bench, drive};

/// Longer than any call may take, whatever Firecracker does.
const DEADLINE: Duration = Duration::from_secs(30);

/// More memory than this process may need for any lie, in KiB.
const MEMORY_KIB: u64 = 96 << 10;

/// What no file of ours may hold.
const PRECIOUS: &str = "what nobody but root may know";

/// A manager with the stand-in, and a file of the host that it would like to have.
struct Lair {
    bench: Bench,
    canary: Canary,
}

impl Lair {
    fn new() -> Self {
        let bench = Bench::with(|options| {
            options.firecracker_binary_path = Some(hostile_firecracker());
            options.jailer_binary_path = Some(fixtures::jailer());
            options.jail = JailMode::Auto;
        });
        Self { bench, canary: Canary::new() }
    }

    /// A VM that runs, as far as it says, with a drive that it may write to.
    async fn started(&self, lie: &str) -> MicroVm {
        let vm = self.vm(lie);
        let report = within("start", vm.start()).await.unwrap();
        let jailed = matches!(report.confinement, Some(Confinement::Jailed { .. }));
        assert!(jailed, "{report:?}");
        vm
    }

    fn vm(&self, lie: &str) -> MicroVm {
        self.vm_with(lie, |_| {})
    }

    fn vm_with(&self, lie: &str, change: impl FnOnce(&mut VmConfig)) -> MicroVm {
        let mut config = self.bench.config(&TinyGuest::halts());
        config.id = Some(lie.to_owned());
        config.boot_source.boot_args = Some(format!("lie={}", self.canary.path.display()));
        let own = self.bench.file("own");
        fs_err::write(&own, vec![1; 64 << 10]).unwrap();
        config.drives = vec![drive("own", &own)];
        change(&mut config);
        self.bench.smartvm.create_vm(&config).unwrap()
    }

    /// Ends a VM, and shows that nothing was harmed by it.
    async fn ends(&self, vm: MicroVm) {
        within("stop", vm.stop_within(Duration::from_secs(1))).await.unwrap();
        within("cleanup", vm.cleanup()).await.unwrap();
        assert_eq!(self.bench.vm_dirs(), Vec::<PathBuf>::new());
        let jails = self.bench.home.data_dir().join("jail/firecracker");
        assert_eq!(fs_err::read_dir(jails).map_or(0, Iterator::count), 0);
        self.canary.is_unharmed();
        self.canary.is_nowhere_below(self.bench.home.path());
        let most = status_kib("VmHWM");
        assert!(most < MEMORY_KIB, "this process has used {most} KiB");
    }
}

/// A file that only root may read.
struct Canary {
    _dir: tempfile::TempDir,
    path: PathBuf,
    before: Vec<State>,
}

/// A file as the system describes it: what a read leaves alone, and any change does not.
#[derive(Debug, PartialEq, Eq)]
struct State {
    path: PathBuf,
    identity: (u64, u64, u64),
    owner: (u32, u32, u32),
    content: (u64, i64, i64),
}

impl Canary {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("precious");
        fs_err::write(&path, PRECIOUS.repeat(100)).unwrap();
        let before = Self::states(&path);
        Self { _dir: dir, path, before }
    }

    fn states(path: &Path) -> Vec<State> {
        // Not `/etc` itself, in which others may make something meanwhile.
        let watched =
            [path, path.parent().unwrap(), Path::new("/etc/passwd"), Path::new("/etc/group")];
        let state = |path: &Path| {
            let found = fs_err::symlink_metadata(path).unwrap();
            State {
                path: path.to_owned(),
                identity: (found.dev(), found.ino(), found.nlink()),
                owner: (found.uid(), found.gid(), found.mode()),
                content: (found.len(), found.ctime(), found.ctime_nsec()),
            }
        };
        watched.into_iter().map(state).collect()
    }

    fn is_unharmed(&self) {
        assert_eq!(Self::states(&self.path), self.before);
        assert_eq!(fs_err::read_to_string(&self.path).unwrap(), PRECIOUS.repeat(100));
    }

    /// No copy of it is in a file below `dir`.
    fn is_nowhere_below(&self, dir: &Path) {
        for entry in fs_err::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let found = fs_err::symlink_metadata(&path).unwrap();
            if found.is_dir() {
                self.is_nowhere_below(&path);
            } else if found.is_file() && found.len() < 1 << 20 {
                let content = fs_err::read(&path).unwrap();
                let holds = content.windows(PRECIOUS.len()).any(|part| part == PRECIOUS.as_bytes());
                assert!(!holds, "{} holds what it must not", path.display());
            }
        }
    }
}

/// Awaits a call that must end in time.
async fn within<T>(
    what: &str,
    call: impl Future<Output = Result<T, SmartVmError>>,
) -> Result<T, SmartVmError> {
    let done = tokio::time::timeout(DEADLINE, call).await;
    done.unwrap_or_else(|_| panic!("{what} takes longer than {DEADLINE:?}"))
}

/// A line of this process' `status`.
fn status_kib(key: &str) -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(":"));
    line.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
}
