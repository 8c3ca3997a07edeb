//! Linux guests in jails: what they see of the host, and limits that bite.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::fs::{XattrFlags, getxattr, setxattr};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use smartvm::{
    AppliedLimits, Confinement, DriveConfig, EndCause, IoLimit, JailMode, MicroVm, StartReport,
    VmState,
};
use smartvm_testkit::{eventually, fixtures};

use crate::guest::{DEADLINE, Lab};

/// A file system that allows devices and programs, for jails, until it is dropped.
pub(crate) struct Jails(PathBuf);

impl Jails {
    pub(crate) fn in_dir(dir: &Path) -> Self {
        let base = dir.join("jails");
        fs_err::create_dir(&base).unwrap();
        mount("tmpfs", &base, "tmpfs", MountFlags::empty(), c"size=256m,mode=0700").unwrap();
        Self(base)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Jails {
    fn drop(&mut self) {
        unmount(&self.0, UnmountFlags::DETACH).unwrap();
    }
}

/// A lab whose VMs are jailed.
fn lab() -> (Lab, Jails) {
    let mut jails = None;
    let lab = Lab::with(|options, home| {
        let made = jails.insert(Jails::in_dir(home.path()));
        options.jail = JailMode::Required;
        options.chroot_base_dir = Some(made.path().to_owned());
    });
    (lab, jails.unwrap())
}

struct Place {
    root: PathBuf,
    cgroup: PathBuf,
    limits: AppliedLimits,
}

impl Place {
    fn of(report: &StartReport) -> Self {
        match &report.confinement {
            Some(Confinement::Jailed { root, cgroup: Some(cgroup), limits, .. }) => {
                Self { root: root.clone(), cgroup: cgroup.clone(), limits: limits.clone() }
            }
            other => panic!("not jailed with limits: {other:?}"),
        }
    }

    /// What a file of the control group says.
    fn value(&self, file: &str) -> String {
        fs_err::read_to_string(self.cgroup.join(file)).unwrap().trim().to_owned()
    }

    /// The value of a key in a file of the control group.
    fn count(&self, file: &str, key: &str) -> u64 {
        let text = fs_err::read_to_string(self.cgroup.join(file)).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {key} in {text}")).parse().unwrap()
    }
}

fn proc(vm: &MicroVm, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{}", vm.process_id().unwrap())).join(name)
}

fn names(dir: &Path) -> BTreeSet<String> {
    let entries = fs_err::read_dir(dir).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn a_jailed_guest_sees_nothing_of_the_host_and_its_limits_bite() {
    let (lab, _jails) = lab();
    let mut config = lab.config(fixtures::rootfs_ext4(), false);
    config.jail.cgroup.pids_max = Some(8);
    config.jail.cgroup.cpu_max_percent = Some(70);
    let (mut guest, report) = lab.boot_reported(&config).await;
    let place = Place::of(&report);

    // What nobody asked for is limited as well, to what the machine needs.
    assert_eq!(place.limits.missing, [""; 0], "{:?}", place.limits.reason);
    let in_force = &place.limits.in_force;
    assert_eq!((in_force.pids_max, in_force.cpu_max_percent), (Some(8), Some(70)));
    assert_eq!((in_force.cpu_weight, in_force.io_weight), (Some(100), Some(100)));
    // Its drive is in memory, and counts.
    let drive = fs_err::metadata(fixtures::rootfs_ext4()).unwrap().len().div_ceil(1 << 20);
    let memory = 256 + 256 / 64 + 128 + drive;
    assert_eq!(in_force.memory_max_mib, Some(memory));
    assert_eq!(place.value("memory.max"), (memory << 20).to_string());
    assert_eq!(place.value("memory.oom.group"), "1");
    assert_eq!((&*place.value("cpu.weight"), &*place.value("cpu.max")), ("100", "70000 100000"));

    let declared = [
        "dev",
        "drives",
        "firecracker",
        "firecracker.pid",
        "firecracker.sock",
        "initrd",
        "kernel",
        "log.fifo",
        "metrics.fifo",
        "run",
        "stderr.fifo",
    ];
    assert_eq!(names(&proc(&guest.vm, "root")), declared.map(str::to_owned).into());
    assert_eq!(names(&place.root.join("drives")), ["rootfs-rootfs.ext4".to_owned()].into());
    let namespace = fs_err::read_link(proc(&guest.vm, "ns/pid")).unwrap();
    let inhabitants = names(Path::new("/proc"))
        .iter()
        .filter(|name| {
            let link = fs_err::read_link(Path::new("/proc").join(name).join("ns/pid"));
            name.parse::<u32>().is_ok() && link.is_ok_and(|link| link == namespace)
        })
        .count();
    assert_eq!(inhabitants, 2, "its guard and itself");
    for task in names(&proc(&guest.vm, "task")) {
        let status = proc(&guest.vm, "task").join(task).join("status");
        let status = fs_err::read_to_string(status).unwrap();
        assert!(status.contains("Seccomp:\t2"), "a thread without a filter: {status}");
        assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
    }

    // A guest can make as many processes as it likes, and none of them on the host.
    let threads = || fs_err::read_to_string(place.cgroup.join("pids.current")).unwrap();
    let before = threads();
    let forks = "for n in 1 2 3 4 5 6 7 8 9 10; do (sleep 60 &) ; done; echo forked";
    assert!(guest.run(forks).await.contains("forked"));
    assert_eq!(threads(), before);
    assert!(place.count("cpu.stat", "nr_throttled") > 0);
    guest.vm.cleanup().await.unwrap();
    assert!(!place.cgroup.exists() && !place.root.exists());
}

#[tokio::test]
async fn a_guest_that_uses_more_memory_than_its_limit_is_ended_and_told_so() {
    let (lab, _jails) = lab();
    let mut config = lab.config(fixtures::rootfs_ext4(), false);
    config.machine_config.mem_size_mib = 512;
    config.jail.cgroup.memory_max_mib = Some(300);
    let (guest, report) = lab.boot_reported(&config).await;
    let place = Place::of(&report);
    assert_eq!(place.count("memory.events", "oom_kill"), 0);
    guest.type_line("mount -t tmpfs none /mnt; dd if=/dev/zero of=/mnt/hog bs=1M").await;
    let end = tokio::time::timeout(DEADLINE, guest.vm.wait()).await.unwrap().unwrap();
    assert_eq!(end.cause, EndCause::OutOfMemory);
    assert_eq!(end.exit.unwrap().signal, Some(9));
    guest.vm.cleanup().await.unwrap();
    assert!(!place.cgroup.exists() && !place.root.exists());
}

/// A block device of the host, until it is dropped.
struct BlockDevice(PathBuf);

impl BlockDevice {
    fn over(file: &Path) -> Self {
        // It is built into some kernels, and then there is no module.
        let _ = Command::new("modprobe").arg("loop").output().unwrap();
        let mut losetup = Command::new("losetup");
        let made = losetup.args(["--find", "--show", "--read-only"]).arg(file).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self(String::from_utf8(made.stdout).unwrap().trim().into())
    }

    /// As control groups name it.
    fn numbers(&self) -> String {
        let name = self.0.file_name().unwrap();
        let numbers = Path::new("/sys/block").join(name).join("dev");
        fs_err::read_to_string(numbers).unwrap().trim().to_owned()
    }
}

impl Drop for BlockDevice {
    fn drop(&mut self) {
        assert!(Command::new("losetup").arg("--detach").arg(&self.0).status().unwrap().success());
    }
}

#[tokio::test]
async fn a_guest_is_kept_to_its_processors_and_to_its_share_of_a_block_device() {
    const LENGTH: u64 = 6 << 20;
    const BYTES_A_SECOND: u64 = 1 << 20;
    /// The kernel's default (`VM_READAHEAD_PAGES`).
    const READ_AHEAD: u64 = 128 << 10;
    let (lab, _jails) = lab();
    let file = lab.home.path().join("blocks");
    fs_err::write(&file, vec![b'b'; usize::try_from(LENGTH).unwrap()]).unwrap();
    let device = BlockDevice::over(&file);
    let mut config = lab.config(fixtures::rootfs_ext4(), false);
    config.drives.push(DriveConfig {
        drive_id: "blocks".into(),
        path_on_host: device.0.clone(),
        is_read_only: Some(true),
        ..DriveConfig::default()
    });
    config.jail.cgroup.cpus = Some("1".into());
    config.jail.cgroup.io_max = vec![IoLimit {
        device: device.0.clone(),
        read_bytes: Some(BYTES_A_SECOND),
        ..IoLimit::default()
    }];
    let (mut guest, report) = lab.boot_reported(&config).await;
    let place = Place::of(&report);
    let status = fs_err::read_to_string(proc(&guest.vm, "status")).unwrap();
    assert!(status.contains("Cpus_allowed_list:\t1\n"), "{status}");

    let began = Instant::now();
    assert_eq!(guest.run("wc -c < /dev/vdb").await, LENGTH.to_string());
    // The kernel lets through what was saved up meanwhile, a second's share at the most.
    let least = Duration::from_secs(LENGTH / BYTES_A_SECOND - 1);
    assert!(began.elapsed() >= least, "{:?}", began.elapsed());
    let used = fs_err::read_to_string(place.cgroup.join("io.stat")).unwrap();
    let read =
        used.lines().find_map(|line| line.strip_prefix(&format!("{} rbytes=", device.numbers())));
    let read: u64 = read.and_then(|text| text.split(' ').next()?.parse().ok()).unwrap();
    // What the host read of it itself when it appeared is in its cache.
    assert!((LENGTH - READ_AHEAD..=LENGTH).contains(&read), "{used}");
    guest.vm.cleanup().await.unwrap();
    assert!(!place.cgroup.exists() && !place.root.exists());
}

/// A copy of a control group that has lost its VM, its record and its jail, and a process in it.
fn orphan(of: &Path, name: &str, marked: bool) -> (PathBuf, Child) {
    const ATTRIBUTE: &str = "trusted.smartvm.jail";
    let dir = of.parent().unwrap().join(name);
    fs_err::create_dir(&dir).unwrap();
    if marked {
        let mut mark = [0; 512];
        let length = getxattr(of, ATTRIBUTE, &mut mark).unwrap();
        let mark = String::from_utf8(mark[..length].to_vec()).unwrap();
        let mark = mark.replace(of.file_name().unwrap().to_str().unwrap(), name);
        setxattr(&dir, ATTRIBUTE, mark.as_bytes(), XattrFlags::empty()).unwrap();
    }
    let process = Command::new("sleep").arg("1000").spawn().unwrap();
    fs_err::write(dir.join("cgroup.procs"), process.id().to_string()).unwrap();
    (dir, process)
}

#[tokio::test]
async fn a_control_group_whose_record_and_jail_are_lost_is_swept_and_no_other() {
    let (lab, _jails) = lab();
    let vm = lab.smartvm.create_vm(&lab.config(fixtures::rootfs_ext4(), false)).unwrap();
    let place = Place::of(&vm.start().await.unwrap());
    let (lost, mut its_process) = orphan(&place.cgroup, "gone-1900009999", true);
    let (of_another, mut living) = orphan(&place.cgroup, "web-1900009998", false);
    lab.smartvm.sweep().unwrap();
    assert!(!lost.exists(), "it is removed with what runs in it");
    assert_eq!(its_process.wait().unwrap().signal(), Some(9));
    assert!(of_another.exists() && living.try_wait().unwrap().is_none(), "nobody says it is ours");
    assert!(place.cgroup.exists() && vm.state() == VmState::Running);
    living.kill().unwrap();
    living.wait().unwrap();
    eventually(DEADLINE, "the group is empty", || fs_err::remove_dir(&of_another).ok());
    vm.cleanup().await.unwrap();
    assert!(!place.cgroup.exists());
}

#[tokio::test]
async fn more_threads_than_the_limit_allows_fail_the_start_whole() {
    let (lab, jails) = lab();
    let mut config = lab.config(fixtures::rootfs_ext4(), false);
    config.machine_config.vcpu_count = 2;
    config.jail.cgroup.pids_max = Some(3);
    let vm = lab.smartvm.create_vm(&config).unwrap();
    vm.start().await.expect_err("it needs four threads, and KVM some more");
    assert!(names(&jails.0.join("firecracker")).is_empty());
    // Whatever else runs here: of our group nothing is left.
    assert!(!Path::new("/sys/fs/cgroup/smartvm").exists());
}
