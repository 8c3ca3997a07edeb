//! A snapshot that cannot be made leaves a running guest and nothing else.

use std::path::PathBuf;
use std::thread::JoinHandle;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use smartvm::snapshot::{RestoreVm, Verify};
use smartvm::{EndCause, VmState};
use smartvm_testkit::eventually;

use super::{CreateSnapshot, DEADLINE, entries, full, guest, name, restored, runs, snapshot};
use crate::support::Bench;

/// A small file system of the test's own, until it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf, bytes: u32) -> Self {
        fs_err::create_dir_all(&at).unwrap();
        let options = std::ffi::CString::new(format!("size={bytes},mode=0700")).unwrap();
        mount("tmpfs", &at, "tmpfs", MountFlags::empty(), options.as_c_str()).unwrap();
        Self(at)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        unmount(&self.0, UnmountFlags::DETACH).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_without_room_is_told_before_the_guest_stands_still() {
    let bench = Bench::new();
    let _disk = SmallDisk::mount(bench.home.data_dir().join("snapshots"), 32 << 20);
    let vm = guest(&bench).await;
    let error = vm.create_snapshot(full("one")).await.unwrap_err();
    assert_eq!(error.code(), "SNAPSHOT_NO_SPACE");
    assert!(error.hint().unwrap().contains("--data-dir"));
    assert_eq!(vm.state(), VmState::Running);
    runs(&vm).await;
    assert_eq!(entries(&bench), Vec::<String>::new());
    vm.cleanup().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fills_up_meanwhile_leaves_a_running_guest_and_no_half_snapshot() {
    let bench = Bench::new();
    let disk = SmallDisk::mount(bench.home.data_dir().join("snapshots"), 50 << 20);
    let vm = guest(&bench).await;
    let filler = disk.0.join(".filler");
    for round in 0..20 {
        let filling = fill_while_written(disk.0.clone(), filler.clone());
        let made = vm.create_snapshot(full(&format!("round-{round}"))).await;
        filling.join().unwrap();
        fs_err::remove_file(&filler).unwrap();
        assert_eq!(vm.state(), VmState::Running);
        runs(&vm).await;
        match made {
            // Firecracker was quicker than the filler.
            Ok(snapshot) => {
                snapshot.verify(Verify::Always).unwrap();
                bench.smartvm.snapshots().unwrap().remove(snapshot.name()).unwrap();
            }
            Err(error) => {
                // Firecracker, our copy of a drive or the manifest met the end of the disk.
                let told = ["SNAPSHOT_NO_SPACE", "DRIVE_STAGING_FAILED"].contains(&error.code());
                assert!(told && error.hint().unwrap().contains("free space"), "{error}");
                assert_eq!(entries(&bench), Vec::<String>::new());
                vm.create_snapshot(full("after")).await.unwrap();
                vm.cleanup().await.unwrap();
                return;
            }
        }
    }
    panic!("the disk was never full in time");
}

/// Takes all the space of a disk once Firecracker writes to it: after the look at the free space.
fn fill_while_written(dir: PathBuf, filler: PathBuf) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let begun =
            |path: PathBuf| fs_err::metadata(path.join("memory")).is_ok_and(|it| it.len() > 0);
        eventually(DEADLINE, "Firecracker begins to write", || {
            let mut entries = fs_err::read_dir(&dir).unwrap();
            entries.any(|entry| begun(entry.unwrap().path())).then_some(())
        });
        // Until the file system takes no further byte.
        let _ = fs_err::write(&filler, vec![0; 64 << 20]);
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_taken_changes_nothing() {
    let bench = Bench::new();
    let before = snapshot(&bench, "one").await;
    let vm = guest(&bench).await;
    let error = vm.create_snapshot(full("one")).await.unwrap_err();
    assert_eq!(error.code(), "SNAPSHOT_EXISTS");
    runs(&vm).await;
    vm.cleanup().await.unwrap();
    before.verify(Verify::Always).unwrap();
    let vm = restored(&bench, RestoreVm::new(name("one"))).await.unwrap();
    runs(&vm).await;
    vm.cleanup().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drive_that_cannot_be_copied_undoes_everything() {
    let bench = Bench::new();
    let vm = guest(&bench).await;
    // Firecracker has the file open; its name leads elsewhere now.
    let own = vm.runtime_dir().join("drives/own-own");
    let away = bench.file("away");
    fs_err::rename(&own, &away).unwrap();
    let error = vm.create_snapshot(full("one")).await.unwrap_err();
    assert_eq!(error.code(), "SNAPSHOT_DRIVE_UNSUITABLE", "{error}");
    assert_eq!(entries(&bench), Vec::<String>::new());
    runs(&vm).await;
    fs_err::rename(&away, &own).unwrap();
    vm.create_snapshot(full("one")).await.unwrap();
    runs(&vm).await;
    vm.cleanup().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_firecracker_that_dies_meanwhile_leaves_no_half_snapshot() {
    let bench = Bench::new();
    for round in 0..12_u32 {
        let vm = guest(&bench).await;
        let pid = rustix::process::Pid::from_raw(vm.process_id().unwrap().try_into().unwrap());
        let store = bench.home.data_dir().join("snapshots");
        let killer = std::thread::spawn(move || {
            eventually(DEADLINE, "a snapshot is begun", || {
                let entries = fs_err::read_dir(&store).ok()?;
                entries.flatten().find(|it| it.file_name().to_string_lossy().starts_with('.'))
            });
            // Not a wait for something: the moment of the fault is what varies.
            std::thread::sleep(std::time::Duration::from_millis(2) * round);
            let _ = rustix::process::kill_process(pid.unwrap(), rustix::process::Signal::KILL);
        });
        let made = vm.create_snapshot(full(&format!("round-{round}"))).await;
        killer.join().unwrap();
        assert_eq!(vm.wait().await.unwrap().cause, EndCause::Crashed);
        match made {
            Ok(snapshot) => snapshot.verify(Verify::Always).unwrap(),
            Err(error) => assert_eq!(error.code(), "VMM_EXITED", "{error}"),
        }
        assert!(
            entries(&bench).iter().all(|entry| !entry.starts_with('.')),
            "{:?}",
            entries(&bench)
        );
        vm.cleanup().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_goes_away_leaves_a_whole_snapshot_and_a_running_guest() {
    let bench = Bench::new();
    let vm = guest(&bench).await;
    let asked = tokio::spawn({
        let vm = vm.clone();
        async move { vm.create_snapshot(full("one")).await }
    });
    eventually(DEADLINE, "the snapshot is begun", || (!entries(&bench).is_empty()).then_some(()));
    asked.abort();
    let store = bench.smartvm.snapshots().unwrap();
    let made = eventually(DEADLINE, "the snapshot is made", || store.get(&name("one")).ok());
    made.verify(Verify::Always).unwrap();
    runs(&vm).await;
    vm.cleanup().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_interrupts_a_snapshot_and_leaves_nothing() {
    let bench = Bench::new();
    let vm = guest(&bench).await;
    let asked = tokio::spawn({
        let vm = vm.clone();
        async move { vm.create_snapshot(CreateSnapshot::default()).await }
    });
    eventually(DEADLINE, "the snapshot is begun", || (!entries(&bench).is_empty()).then_some(()));
    vm.kill().await.unwrap();
    match asked.await.unwrap() {
        Ok(snapshot) => snapshot.verify(Verify::Always).unwrap(),
        Err(error) => {
            assert_eq!(error.code(), "INTERRUPTED");
            assert_eq!(entries(&bench), Vec::<String>::new());
        }
    }
    vm.cleanup().await.unwrap();
}
