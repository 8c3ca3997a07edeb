//! Firecracker dies, or the disk is full: the error says so, and nothing is left.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::process::{Pid, Signal, kill_process};
use smartvm::{EndCause, VmState};
use smartvm_testkit::tiny_guest::TinyGuest;

use crate::support::{Bench, drive, whole};

fn kill(pid: u32) {
    let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
    // It may have died of something else meanwhile.
    let _ = kill_process(pid, Signal::KILL);
}

/// The Firecracker that the VM's record names, once there is one.
fn recorded_process(dir: &Path) -> Option<u32> {
    let record: serde_json::Value =
        serde_json::from_slice(&fs_err::read(dir.join("record.json")).ok()?).ok()?;
    record["firecracker"]["pid"].as_u64()?.try_into().ok()
}

/// Kills Firecracker at moments spread over the whole start, from its first instruction on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_firecracker_killed_during_the_start_fails_it_at_once() {
    let bench = Bench::new();
    let mut seen = BTreeMap::<String, u32>::new();
    let kernel = TinyGuest::halts();
    for step in 0..60 {
        let delay = Duration::from_micros(250) * step;
        let vm = bench.vm(&kernel);
        let dir = vm.runtime_dir();
        let killer = std::thread::spawn(move || {
            let deadline = Instant::now() + Duration::from_secs(10);
            while Instant::now() < deadline {
                if let Some(pid) = recorded_process(&dir) {
                    // Not a wait for something: the moment of the fault is what varies.
                    std::thread::sleep(delay);
                    kill(pid);
                    return;
                }
                std::hint::spin_loop();
            }
        });
        let begun = Instant::now();
        let outcome = match vm.start().await {
            Ok(_) => {
                let end = vm.wait().await.unwrap();
                assert_eq!(end.cause, EndCause::Crashed);
                assert_eq!(end.exit.unwrap().signal, Some(9));
                "after the start".to_owned()
            }
            Err(error) => {
                assert_eq!(error.process_exit().unwrap().signal, Some(9), "{}", whole(&error));
                assert!(whole(&error).contains("SIGKILL"), "{}", whole(&error));
                error.to_string().split(':').next().unwrap().to_owned()
            }
        };
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "death is seen at once, not by a timeout"
        );
        assert_eq!(vm.state(), VmState::Error);
        assert!(!vm.runtime_dir().exists());
        *seen.entry(outcome).or_default() += 1;
        killer.join().unwrap();
    }
    println!("killed at: {seen:?}");
    assert!(seen.len() >= 2, "the kills hit one moment only: {seen:?}");
    bench.next_start_works().await;
}

#[tokio::test]
async fn a_firecracker_killed_while_running_is_noticed_at_once() {
    let bench = Bench::new();
    let vm = bench.started(&TinyGuest::halts()).await;
    let console = vm.console().unwrap();
    kill(vm.process_id().unwrap());
    let end = vm.wait().await.unwrap();
    assert_eq!(end.cause, EndCause::Crashed);
    let exit = end.exit.unwrap();
    assert_eq!(exit.signal, Some(9));
    assert!(exit.to_string().contains("SIGKILL"), "{exit}");
    assert_eq!(vm.state(), VmState::Error);
    assert_eq!(vm.pause().await.unwrap_err().code(), "INVALID_STATE");
    assert_eq!(bench.vm_dirs(), Vec::<PathBuf>::new());
    assert!(console.tail(16).is_empty());
    bench.next_start_works().await;
}

#[tokio::test]
async fn a_firecracker_killed_while_paused_is_noticed_at_once() {
    let bench = Bench::new();
    let vm = bench.started(&TinyGuest::halts()).await;
    vm.pause().await.unwrap();
    kill(vm.process_id().unwrap());
    assert_eq!(vm.wait().await.unwrap().cause, EndCause::Crashed);
    assert_eq!(bench.vm_dirs(), Vec::<PathBuf>::new());
}

/// A small file system of the test's own, until it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, bytes: u32) -> Self {
        let options = std::ffi::CString::new(format!("size={bytes},mode=0700")).unwrap();
        mount("tmpfs", at, "tmpfs", MountFlags::empty(), options.as_c_str()).unwrap();
        Self(at.to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        unmount(&self.0, UnmountFlags::DETACH).unwrap();
    }
}

/// A manager whose runtime directory is a file system of this size, which is unmounted first.
fn on_a_small_disk(bytes: u32) -> (Bench, SmallDisk) {
    let mut disk = None;
    let bench = Bench::with(|options| disk = Some(SmallDisk::mount(&options.runtime_dir, bytes)));
    (bench, disk.unwrap())
}

#[tokio::test]
async fn a_disk_that_is_full_while_drives_are_copied_fails_the_start_whole() {
    let (bench, _disk) = on_a_small_disk(64 * 1024);
    let source = bench.file("disk");
    fs_err::write(&source, vec![1; 256 * 1024]).unwrap();
    let mut config = bench.config(&TinyGuest::halts());
    config.drives = vec![drive("rootfs", &source)];
    let vm = bench.smartvm.create_vm(&config).unwrap();
    let error = vm.start().await.unwrap_err();
    assert_eq!(error.code(), "DRIVE_STAGING_FAILED", "{}", whole(&error));
    assert_eq!(bench.vm_dirs(), Vec::<PathBuf>::new());
    assert_eq!(fs_err::read(&source).unwrap(), vec![1; 256 * 1024]);
    bench.next_start_works().await;
}

#[tokio::test]
async fn a_disk_that_is_full_from_the_start_fails_it_whole() {
    let (bench, _disk) = on_a_small_disk(16 * 1024);
    let full = bench.home.runtime_dir().to_owned();
    let filler = full.join(".filler");
    // Until the file system takes no further byte.
    let _ = fs_err::write(&filler, vec![0; 64 * 1024]);
    let vm = bench.smartvm.create_vm(&bench.config(&TinyGuest::halts())).unwrap();
    assert_eq!(vm.start().await.unwrap_err().code(), "RUNTIME_DIR_FAILED");
    assert_eq!(bench.vm_dirs(), Vec::<PathBuf>::new());
    fs_err::remove_file(&filler).unwrap();
    bench.next_start_works().await;
}
