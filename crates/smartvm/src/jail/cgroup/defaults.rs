//! The limits of a VM that nobody asked for: what its processors, memory and devices need, and no more.
//!
//! They are there to keep a guest, or a Firecracker that it took over, from using up the host; not to
//! share the host out. Nothing that a guest may do within its own machine is slowed or ended by them.

use std::path::Path;

use crate::config::VmConfig;
use crate::jail::config::CgroupConfig;

/// Besides the guest's processors: one thread plays all its devices, and can be as busy as one of them.
const DEVICES_PERCENT: u32 = 100;

/// The kernel's own weight, for each of the guest's processors: a machine of four gets four times as
/// much as a machine of one when both want more than there is.
const WEIGHT_OF_PROCESSOR: u32 = 100;

/// The most that the kernel takes.
const MOST_WEIGHT: u32 = 10_000;

/// Besides the guest's memory, in MiB: Firecracker's own, the kernel's for its virtual machine, and room
/// for the cache of its drives and of the snapshots that it writes, which the kernel takes back.
const MEMORY_OVERHEAD: u64 = 128;

/// Page tables: 1/512 of the memory for the guest, as much for Firecracker, and as much again for
/// what the kernel keeps to find them. Rounded up.
const MEMORY_OF_PAGE_TABLES: u64 = 64;

/// Besides the guest's processors: Firecracker's two threads, the kernel's two for its virtual machine,
/// and some that come and go.
const THREADS: u32 = 16;

/// For drives that are read and written by `io_uring`, whose threads are counted as Firecracker's: the
/// kernel has four a processor of the host at most that wait for disks, and others beside.
const THREADS_OF_RING: u32 = 64;
const THREADS_OF_RING_PER_PROCESSOR: u32 = 4;

/// The kernel's own weight of disks, as for everything else of the host.
const IO_WEIGHT: u32 = 100;

/// `TMPFS_MAGIC` of `linux/magic.h`.
const TMPFS: i64 = 0x0102_1994;

/// The limits for a VM with jail in `jails`; `stages` is whether it gets copies of its writable drives.
pub(in crate::jail) fn default_limits(
    config: &VmConfig,
    stages: bool,
    jails: &Path,
) -> CgroupConfig {
    let vcpus = config.machine_config.vcpu_count;
    CgroupConfig {
        cpu_max_percent: Some(vcpus.saturating_mul(100).saturating_add(DEVICES_PERCENT)),
        cpu_weight: Some(vcpus.saturating_mul(WEIGHT_OF_PROCESSOR).clamp(1, MOST_WEIGHT)),
        cpus: None,
        memory_max_mib: Some(memory(config).saturating_add(in_memory(config, stages, jails))),
        pids_max: Some(threads(config)),
        io_weight: Some(IO_WEIGHT),
        io_max: Vec::new(),
    }
}

/// For the guest and Firecracker.
fn memory(config: &VmConfig) -> u64 {
    let plugged = config.memory_hotplug.as_ref().map_or(0, |memory| memory.total_size_mib);
    let guest = config.machine_config.mem_size_mib.saturating_add(plugged);
    guest.saturating_add(MEMORY_OVERHEAD).saturating_add(guest / MEMORY_OF_PAGE_TABLES)
}

/// For drives that are in memory themselves, in MiB: what a guest writes there is counted as its own,
/// and the kernel cannot take it back.
fn in_memory(config: &VmConfig, stages: bool, jails: &Path) -> u64 {
    let drives = config.drives.iter().filter(|drive| drive.is_read_only != Some(true));
    let drives = drives.map(|drive| (&drive.path_on_host, drive.is_staged(stages)));
    let pmem = config.pmem.iter().filter(|pmem| pmem.read_only != Some(true));
    let pmem = pmem.map(|pmem| (&pmem.path_on_host, pmem.is_staged(stages)));
    let there = drives.chain(pmem).filter(|(path, staged)| {
        let place = if *staged { jails } else { path.as_path() };
        is_in_memory(place)
    });
    // A file that cannot be looked at fails the start elsewhere.
    let sizes = there.filter_map(|(path, _)| Some(fs_err::metadata(path).ok()?.len()));
    sizes.map(|bytes| bytes.div_ceil(1 << 20)).fold(0, u64::saturating_add)
}

/// Whether what is written to the file system of `path` stays in memory.
pub(crate) fn is_in_memory(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|volume| volume.f_type == TMPFS)
}

fn threads(config: &VmConfig) -> u32 {
    use smartvm_firecracker::api::IoEngine;
    let rings = config.drives.iter().any(|drive| drive.io_engine == Some(IoEngine::Async));
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let processors = u32::try_from(processors).unwrap_or(u32::MAX);
    let of_rings = if rings {
        processors.saturating_mul(THREADS_OF_RING_PER_PROCESSOR).saturating_add(THREADS_OF_RING)
    } else {
        0
    };
    config.machine_config.vcpu_count.saturating_add(THREADS).saturating_add(of_rings)
}

#[cfg(test)]
mod tests {
    use smartvm_firecracker::api::IoEngine;

    use super::*;
    use crate::config::{DriveConfig, MachineConfig, MemoryHotplugConfig};

    fn config() -> VmConfig {
        VmConfig { machine_config: MachineConfig::new(2, 512), ..VmConfig::default() }
    }

    #[test]
    fn a_vm_may_use_what_its_machine_needs_and_an_overhead() {
        let limits = default_limits(&config(), true, Path::new("/proc"));
        assert_eq!((limits.cpu_max_percent, limits.cpu_weight), (Some(300), Some(200)));
        assert_eq!(limits.memory_max_mib, Some(512 + 128 + 8));
        assert_eq!((limits.pids_max, limits.io_weight), (Some(18), Some(100)));
        assert!(limits.cpus.is_none() && limits.io_max.is_empty(), "nothing is shut out");
    }

    #[test]
    fn memory_that_can_be_plugged_in_counts() {
        let plugged = MemoryHotplugConfig { total_size_mib: 1024, ..Default::default() };
        let config = VmConfig { memory_hotplug: Some(plugged), ..config() };
        let limits = default_limits(&config, true, Path::new("/proc"));
        assert_eq!(limits.memory_max_mib, Some(1536 + 128 + 24));
    }

    #[test]
    fn what_is_written_to_a_drive_in_memory_counts_and_what_is_read_from_it_does_not() {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let path = dir.path().join("disk");
        std::fs::File::create_new(&path).unwrap().set_len((64 << 20) + 1).unwrap();
        let drive = DriveConfig { path_on_host: path, ..DriveConfig::default() };
        let limit = |drive: &DriveConfig, jails| {
            let config = VmConfig { drives: vec![drive.clone()], ..config() };
            default_limits(&config, true, jails).memory_max_mib.unwrap() - 648
        };
        assert_eq!(limit(&drive, Path::new("/dev/shm")), 65, "its copy is in memory");
        assert_eq!(limit(&drive, Path::new("/proc")), 0, "its copy is on a disk");
        let lasting = DriveConfig { ephemeral: Some(false), ..drive.clone() };
        assert_eq!(limit(&lasting, Path::new("/proc")), 65, "it is in memory itself");
        let read_only = DriveConfig { is_read_only: Some(true), ..drive };
        assert_eq!(limit(&read_only, Path::new("/dev/shm")), 0);
    }

    #[test]
    fn threads_of_io_uring_are_allowed_for() {
        let drive = DriveConfig { io_engine: Some(IoEngine::Async), ..DriveConfig::default() };
        let config = VmConfig { drives: vec![drive], ..config() };
        let limits = default_limits(&config, true, Path::new("/proc"));
        assert!(limits.pids_max.unwrap() >= 18 + 64 + 4);
    }
}
