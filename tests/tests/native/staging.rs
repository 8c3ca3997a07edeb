//! Private copies of drives: shared blocks where the file system has them, data where not, and
//! nothing left of either.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use smartvm::{SmartVm, VmState};
use smartvm_images::{StageDrive, StagingMethod, stage_drive, stage_drives};
use smartvm_testkit::tiny_guest::TinyGuest;
use smartvm_testkit::{LoopFs, eventually, fixtures};

use crate::support::{Bench, drive, whole};

const MIB: u64 = 1 << 20;
const DEADLINE: Duration = Duration::from_secs(20);

/// A file of `mib` MiB of data.
fn image(dir: &Path, name: &str, mib: u64) -> PathBuf {
    let path = dir.join(name);
    let size = usize::try_from(mib * MIB).unwrap();
    fs_err::write(&path, vec![3; size]).unwrap();
    path
}

fn free_bytes(dir: &Path) -> u64 {
    // What was written shall have its blocks.
    let open = fs_err::File::open(dir).unwrap();
    rustix::fs::syncfs(&open).unwrap();
    let volume = rustix::fs::statvfs(dir).unwrap();
    volume.f_bfree * volume.f_frsize
}

/// What must not change of a source.
fn state_of(path: &Path) -> (Vec<u8>, i64, i64, u32) {
    let found = fs_err::metadata(path).unwrap();
    (fs_err::read(path).unwrap(), found.mtime(), found.mtime_nsec(), found.mode())
}

#[test]
fn xfs_and_btrfs_share_the_blocks_until_one_is_changed() {
    for (name, file_system) in [("xfs", LoopFs::xfs(400)), ("btrfs", LoopFs::btrfs(400))] {
        let source = image(file_system.path(), "source", 64);
        let before = state_of(&source);
        let free = free_bytes(file_system.path());
        let target = file_system.path().join("staged");
        let staged = stage_drive(&source, &target).unwrap();
        assert_eq!((staged.method, staged.bytes_copied), (StagingMethod::Reflink, 0), "{name}");
        assert_eq!(staged.size, 64 * MIB);
        let taken = free.saturating_sub(free_bytes(file_system.path()));
        assert!(taken < 8 * MIB, "{name}: the copy took {taken} bytes");
        assert!(fs_err::read(&target).unwrap() == before.0);
        let file = fs_err::OpenOptions::new().write(true).open(&target).unwrap();
        std::os::unix::fs::FileExt::write_all_at(file.file(), &[7; 4096], 5 * MIB).unwrap();
        drop(file);
        assert!(state_of(&source) == before, "{name}: the source was written");
    }
}

#[test]
fn holes_are_not_read_between_file_systems() {
    let (from, to) = (LoopFs::xfs(400), LoopFs::memory(64 * MIB));
    let source = from.path().join("source");
    let file = fs_err::File::create_new(&source).unwrap();
    file.set_len(10 << 30).unwrap();
    std::os::unix::fs::FileExt::write_all_at(file.file(), &vec![9; 1 << 20], 5 << 30).unwrap();
    // Blocks that were reserved and not written read as zeros, and are no data.
    rustix::fs::fallocate(file.file(), rustix::fs::FallocateFlags::empty(), 0, 8 * MIB).unwrap();
    drop(file);
    let target = to.path().join("staged");
    let staged = stage_drive(&source, &target).unwrap();
    assert_eq!((staged.method, staged.bytes_copied), (StagingMethod::Copy, MIB));
    let found = fs_err::metadata(&target).unwrap();
    assert_eq!((found.len(), found.blocks() * 512), (10 << 30, MIB));
}

#[test]
fn what_does_not_fit_is_refused_and_what_runs_out_of_space_is_removed() {
    let (disk, memory) = (LoopFs::ext4(64), LoopFs::memory(6 * MIB));
    let (one, two) = (image(disk.path(), "one", 4), image(disk.path(), "two", 4));
    let to = |source: &Path, name: &str| StageDrive {
        source: source.into(),
        target: memory.path().join(name).into(),
    };
    // Each fits, both do not.
    let error = stage_drives(&[to(&one, "a"), to(&two, "b")]).unwrap_err();
    assert_eq!(error.code(), "DRIVE_STAGING_FAILED");
    assert!(error.hint().unwrap().contains("free space"));
    assert_eq!(fs_err::read_dir(memory.path()).unwrap().count(), 0);
    stage_drives(&[to(&one, "a")]).unwrap();
    // A file of the kernel seems to take no block, so its copy is begun.
    let unreal = Path::new("/sys/kernel/uevent_seqnum");
    assert_eq!(fs_err::metadata(unreal).unwrap().blocks(), 0);
    let rest = usize::try_from(free_bytes(memory.path())).unwrap();
    fs_err::write(memory.path().join("rest"), vec![1; rest]).unwrap();
    let error = stage_drives(&[to(unreal, "c")]).unwrap_err();
    let source = std::error::Error::source(&error).and_then(std::error::Error::source).unwrap();
    let errno = source.downcast_ref::<std::io::Error>().unwrap();
    assert_eq!(errno.kind(), std::io::ErrorKind::StorageFull, "{error:?}");
    assert!(error.hint().unwrap().contains("free space"));
    assert!(!memory.path().join("c").exists(), "half a copy was left");
}

#[test]
fn a_start_without_space_for_its_drives_leaves_nothing_and_the_next_one_works() {
    let memory = LoopFs::memory(8 * MIB);
    // What holds the file system goes with the runtime, before it does.
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let runtime = memory.path().join("run");
        fs_err::create_dir(&runtime).unwrap();
        fs_err::set_permissions(&runtime, std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .unwrap();
        let bench = Bench::with(|options| options.runtime_dir = runtime.clone());
        let mut config = bench.config(&TinyGuest::halts());
        let large = image(bench.home.path(), "large", 16);
        config.drives = vec![drive("data", &large)];
        let vm = bench.smartvm.create_vm(&config).unwrap();
        let error = vm.start().await.unwrap_err();
        assert_eq!(error.code(), "DRIVE_STAGING_FAILED", "{}", whole(&error));
        assert_eq!(vm.state(), VmState::Error);
        assert_eq!(crate::support::vm_dirs(&runtime), Vec::<PathBuf>::new());
        assert!(free_bytes(memory.path()) > 7 * MIB);
        config.drives = vec![drive("data", &image(bench.home.path(), "small", 1))];
        let vm = bench.smartvm.create_vm(&config).unwrap();
        vm.start().await.unwrap();
        vm.cleanup().await.unwrap();
        assert_eq!(crate::support::vm_dirs(&runtime), Vec::<PathBuf>::new());
    });
}

#[test]
fn several_drives_of_a_vm_are_shared_copies_on_xfs_and_go_with_it() {
    let xfs = LoopFs::xfs(600);
    // What holds the file system goes with the runtime, before it does.
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let runtime = xfs.path().join("run");
        fs_err::create_dir(&runtime).unwrap();
        fs_err::set_permissions(&runtime, std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .unwrap();
        let bench = Bench::with(|options| options.runtime_dir = runtime.clone());
        let mut config = bench.config(&TinyGuest::halts());
        let sources: Vec<_> =
            (0..3).map(|number| image(xfs.path(), &format!("disk-{number}"), 64)).collect();
        config.drives =
            sources.iter().enumerate().map(|(n, it)| drive(&format!("d{n}"), it)).collect();
        let before: Vec<_> = sources.iter().map(|source| state_of(source)).collect();
        let free = free_bytes(xfs.path());
        let vm = bench.smartvm.create_vm(&config).unwrap();
        vm.start().await.unwrap();
        let drives = vm.runtime_dir().join("drives");
        for number in 0..3 {
            let staged = fs_err::metadata(drives.join(format!("d{number}-disk-{number}"))).unwrap();
            assert_eq!(staged.len(), 64 * MIB);
        }
        let taken = free.saturating_sub(free_bytes(xfs.path()));
        assert!(taken < 16 * MIB, "the copies took {taken} bytes");
        vm.cleanup().await.unwrap();
        assert!(!drives.exists());
        assert!(sources.iter().zip(&before).all(|(source, before)| state_of(source) == *before));
    });
}

/// Manager's option, read-only, ephemeral, and whether the VM works on a copy.
#[tokio::test]
async fn a_vm_gets_a_private_copy_as_the_three_settings_say() {
    let table = [
        (None, None, true),
        (None, Some(true), true),
        (None, Some(false), false),
        (Some(false), None, true),
        (Some(false), Some(true), true),
        (Some(false), Some(false), false),
        (Some(true), None, false),
        (Some(true), Some(true), true),
        (Some(true), Some(false), false),
    ];
    for by_default in [true, false] {
        let bench = Bench::with(|options| options.ephemeral_writable_drives = by_default);
        let source = image(bench.home.path(), "disk", 1);
        let before = state_of(&source);
        for (is_read_only, ephemeral, is_copied) in table {
            let mut config = bench.config(&TinyGuest::halts());
            let mut data = drive("data", &source);
            (data.is_read_only, data.ephemeral) = (is_read_only, ephemeral);
            config.drives = vec![data];
            let case = format!("{by_default} {is_read_only:?} {ephemeral:?}");
            let vm = bench.smartvm.create_vm(&config).unwrap();
            vm.start().await.unwrap();
            let name = vm.runtime_dir().join("drives/data-disk");
            let found = fs_err::metadata(&name).unwrap();
            let original = fs_err::metadata(&source).unwrap();
            let is_other = (found.dev(), found.ino()) != (original.dev(), original.ino());
            assert_eq!(is_other, is_copied && by_default, "{case}");
            vm.cleanup().await.unwrap();
            assert!(fs_err::symlink_metadata(&name).is_err(), "{case}");
            assert!(state_of(&source) == before, "{case}");
        }
    }
}

#[tokio::test]
async fn an_owner_killed_while_it_copies_leaves_what_the_next_one_removes() {
    let bench = Bench::new();
    let (kernel, disk) = (bench.file("guest"), image(bench.home.path(), "disk", 1024));
    TinyGuest::halts().write_to(&kernel).unwrap();
    let mut owner = Command::new(fixtures::command())
        .args(["run", "--no-jail", "--memory", "32", "--id", "victim", "--kernel"])
        .args([&kernel, Path::new("--rootfs"), &disk])
        .args([Path::new("--firecracker"), &fixtures::firecracker()])
        .args([Path::new("--data-dir"), bench.home.data_dir()])
        .args([Path::new("--runtime-dir"), bench.home.runtime_dir()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let copy = bench.home.runtime_dir().join("victim/drives/rootfs-disk");
    let copied = || fs_err::metadata(&copy).map(|found| found.blocks() * 512).unwrap_or_default();
    eventually(DEADLINE, "the copy has begun", || (copied() > 0).then_some(()));
    owner.kill().unwrap();
    owner.wait().unwrap();
    assert!(copied() < 1024 * MIB, "the copy was whole before the owner could be killed");

    SmartVm::new(bench.smartvm.options().clone()).unwrap();
    assert_eq!(bench.vm_dirs(), Vec::<PathBuf>::new());
    let mut config = bench.config(&TinyGuest::halts());
    config.drives = vec![drive("rootfs", &disk)];
    let vm = bench.smartvm.create_vm(&config).unwrap();
    vm.start().await.unwrap();
    vm.cleanup().await.unwrap();
}
