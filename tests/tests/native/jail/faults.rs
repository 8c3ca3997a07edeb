//! A jailed start fails at each of its steps: the error says so, and nothing is left.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::process::{Pid, Signal, kill_process};
use smartvm::{JailMode, SmartVm, VmState};
use smartvm_testkit::tiny_guest::TinyGuest;

use super::{bench, jails, started};
use crate::support::{Bench, drive, whole};

/// Starts a VM that cannot start, and tells the code of its error.
async fn refused(bench: &Bench) -> &'static str {
    let error = bench.vm(&TinyGuest::halts()).start().await.unwrap_err();
    assert_eq!((jails(bench).len(), bench.vm_dirs().len()), (0, 0), "{}", whole(&error));
    error.code()
}

#[tokio::test]
async fn without_a_jailer_root_starts_nothing_unless_it_says_so() {
    let alone = tempfile::tempdir().unwrap();
    let firecracker = alone.path().join("firecracker");
    fs_err::copy(smartvm_testkit::fixtures::firecracker(), &firecracker).unwrap();
    let mut bench = Bench::with(|options| {
        options.jail = JailMode::Auto;
        options.firecracker_binary_path = Some(firecracker);
    });
    assert_eq!(refused(&bench).await, "JAILER_NOT_FOUND");
    let mut options = bench.smartvm.options().clone();
    options.jail = JailMode::Off;
    bench.smartvm = SmartVm::new(options).unwrap();
    bench.next_start_works().await;
}

#[tokio::test]
async fn a_program_that_is_no_jailer_is_told_from_one() {
    let bench = Bench::with(|options| {
        options.jail = JailMode::Auto;
        options.jailer_binary_path = Some("/bin/echo".into());
    });
    assert_eq!(refused(&bench).await, "NOT_JAILER");
}

/// A file system of the test's own, until it is dropped.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path, options: &str, flags: MountFlags) -> Self {
        fs_err::create_dir_all(at).unwrap();
        let options = CString::new(format!("{options},mode=0700")).unwrap();
        mount("tmpfs", at, "tmpfs", flags, options.as_c_str()).unwrap();
        Self(at.to_owned())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        unmount(&self.0, UnmountFlags::DETACH).unwrap();
    }
}

#[tokio::test]
async fn a_file_system_that_forbids_devices_or_programs_is_refused() {
    let bench = bench();
    for (flags, option) in [(MountFlags::NODEV, "nodev"), (MountFlags::NOEXEC, "noexec")] {
        let _disk = Disk::mount(&bench.home.data_dir().join("jail"), "size=1m", flags);
        let error = bench.vm(&TinyGuest::halts()).start().await.unwrap_err();
        assert_eq!(error.code(), "JAIL_DIR_UNUSABLE");
        assert!(error.to_string().contains(option) && error.hint().is_some(), "{error}");
    }
}

#[tokio::test]
async fn a_disk_without_room_for_the_program_or_a_drive_fails_the_start_whole() {
    let bench = bench();
    let source = bench.file("disk");
    fs_err::write(&source, vec![1; 2 << 20]).unwrap();
    let mut config = bench.config(&TinyGuest::halts());
    config.drives = vec![drive("rootfs", &source)];
    for size in ["size=16k", "size=1m", "size=4m"] {
        let _disk = Disk::mount(&bench.home.data_dir().join("jail"), size, MountFlags::empty());
        let vm = bench.smartvm.create_vm(&config).unwrap();
        let error = vm.start().await.unwrap_err();
        assert_eq!((jails(&bench).len(), bench.vm_dirs().len()), (0, 0), "{}", whole(&error));
    }
    started(&bench).await.vm.cleanup().await.unwrap();
}

#[tokio::test]
async fn a_directory_of_jails_without_room_is_told_before_the_jailer_panics() {
    let bench = bench();
    for size in ["size=64k", "size=8m,nr_inodes=16"] {
        let _disk = Disk::mount(&bench.home.data_dir().join("jail"), size, MountFlags::empty());
        let error = bench.vm(&TinyGuest::halts()).start().await.unwrap_err();
        assert_eq!(error.code(), "JAIL_NO_SPACE", "{}", whole(&error));
        assert!(error.hint().unwrap().contains("--jail-dir"));
        assert_eq!((jails(&bench).len(), bench.vm_dirs().len()), (0, 0));
    }
}

#[tokio::test]
async fn limits_are_set_or_refused_and_never_left_out() {
    let bench = bench();
    let mut config = bench.config(&TinyGuest::halts());
    config.jail.cgroup.pids_max = Some(20);
    let vm = bench.smartvm.create_vm(&config).unwrap();
    match vm.start().await {
        Ok(report) => {
            let group = serde_json::to_value(&report.confinement).unwrap();
            let group = PathBuf::from(group["cgroup"].as_str().unwrap());
            assert_eq!(fs_err::read_to_string(group.join("pids.max")).unwrap(), "20\n");
            vm.cleanup().await.unwrap();
            assert!(!group.exists());
        }
        // As on a host whose controllers are those of version 1.
        Err(error) => assert_eq!(error.code(), "CGROUP_UNAVAILABLE", "{}", whole(&error)),
    }
    assert_eq!((jails(&bench).len(), bench.vm_dirs().len()), (0, 0));
}

fn recorded_process(dir: &Path) -> Option<i32> {
    let record: serde_json::Value =
        serde_json::from_slice(&fs_err::read(dir.join("record.json")).ok()?).ok()?;
    record["firecracker"]["pid"].as_i64()?.try_into().ok()
}

/// Kills the jailer, or what has become of it, at moments spread over the whole start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jailer_killed_during_the_start_fails_it_at_once_and_leaves_nothing() {
    let bench = bench();
    let mut seen = BTreeMap::<String, u32>::new();
    let kernel = TinyGuest::halts();
    for step in 0..40 {
        let delay = Duration::from_micros(400) * step;
        let vm = bench.vm(&kernel);
        let dir = vm.runtime_dir();
        let killer = std::thread::spawn(move || {
            let deadline = Instant::now() + Duration::from_secs(10);
            while Instant::now() < deadline {
                if let Some(pid) = recorded_process(&dir) {
                    // Not a wait for something: the moment of the fault is what varies.
                    std::thread::sleep(delay);
                    let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
                    return;
                }
                std::hint::spin_loop();
            }
        });
        let outcome = match vm.start().await {
            Ok(_) => {
                assert_eq!(vm.wait().await.unwrap().exit.unwrap().signal, Some(9));
                "after the start".to_owned()
            }
            Err(error) => {
                assert_eq!(error.process_exit().unwrap().signal, Some(9), "{}", whole(&error));
                error.to_string().split(':').next().unwrap().to_owned()
            }
        };
        assert_eq!(vm.state(), VmState::Error);
        assert_eq!((jails(&bench).len(), bench.vm_dirs().len()), (0, 0));
        *seen.entry(outcome).or_default() += 1;
        killer.join().unwrap();
    }
    println!("killed at: {seen:?}");
    assert!(seen.len() >= 2, "the kills hit one moment only: {seen:?}");
    started(&bench).await.vm.cleanup().await.unwrap();
}
