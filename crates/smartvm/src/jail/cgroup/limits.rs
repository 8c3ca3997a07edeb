//! Limits as the kernel takes them.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::fs::{major, minor};

use super::CgroupError;
use crate::jail::config::{CgroupConfig, IoLimit};

/// The time that a share of a processor is a share of, in microseconds: the kernel's own default.
const PERIOD: u64 = 100_000;

/// What is written into one file of a control group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) controller: &'static str,
    pub(super) file: &'static str,
    pub(super) value: String,
    /// Whether kernels may lack the file.
    pub(super) optional: bool,
}

/// Everything that `config` asks for.
pub(super) fn limits(config: &CgroupConfig) -> Result<Vec<Limit>, CgroupError> {
    let mut limits = Vec::new();
    let mut add = |file: &'static str, value: String, optional| {
        let controller = file.split('.').next().unwrap_or_default();
        limits.push(Limit { controller, file, value, optional });
    };
    if let Some(percent) = config.cpu_max_percent {
        add("cpu.max", format!("{} {PERIOD}", u64::from(percent) * PERIOD / 100), false);
    }
    if let Some(weight) = config.cpu_weight {
        add("cpu.weight", weight.to_string(), false);
    }
    if let Some(cpus) = &config.cpus {
        add("cpuset.cpus", cpus.clone(), false);
    }
    if let Some(mib) = config.memory_max_mib {
        add("memory.max", (mib << 20).to_string(), false);
        // Otherwise what does not fit goes to the host's disk, guest memory and all.
        add("memory.swap.max", "0".to_owned(), true);
        // A Firecracker that has lost a thread is of no use.
        add("memory.oom.group", "1".to_owned(), true);
    }
    if let Some(pids) = config.pids_max {
        add("pids.max", pids.to_string(), false);
    }
    if let Some(weight) = config.io_weight {
        // Kernels that do not share out disks by weight lack it.
        add("io.weight", format!("default {weight}"), true);
    }
    for limit in &config.io_max {
        let device = whole_device(&limit.device)
            .map_err(|source| CgroupError::Device { device: limit.device.clone(), source })?;
        add("io.max", io_max(&device, limit), false);
    }
    Ok(limits)
}

fn io_max(device: &str, limit: &IoLimit) -> String {
    let parts = [
        ("rbps", limit.read_bytes),
        ("wbps", limit.write_bytes),
        ("riops", limit.read_operations),
        ("wiops", limit.write_operations),
    ];
    let parts = parts.iter().filter_map(|(name, value)| Some(format!(" {name}={}", (*value)?)));
    parts.fold(device.to_owned(), |line, part| line + &part)
}

/// The numbers of a block device, or of the one that it is a partition of: only whole ones can be
/// limited.
fn whole_device(path: &Path) -> io::Result<String> {
    let found = fs_err::metadata(path)?;
    if !found.file_type().is_block_device() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a block device"));
    }
    let numbers = format!("{}:{}", major(found.rdev()), minor(found.rdev()));
    let of_device = Path::new("/sys/dev/block").join(&numbers);
    if !of_device.join("partition").exists() {
        return Ok(numbers);
    }
    let whole = fs_err::read_to_string(of_device.join("../dev"))?;
    Ok(whole.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(config: &CgroupConfig) -> Vec<String> {
        let limits = limits(config).unwrap();
        limits.iter().map(|limit| format!("{}={}", limit.file, limit.value)).collect()
    }

    #[test]
    fn each_limit_is_written_as_the_kernel_takes_it() {
        assert!(written(&CgroupConfig::default()).is_empty());
        let config = CgroupConfig {
            cpu_max_percent: Some(150),
            cpu_weight: Some(200),
            cpus: Some("0-1".to_owned()),
            memory_max_mib: Some(64),
            pids_max: Some(9),
            io_weight: Some(50),
            io_max: Vec::new(),
        };
        assert_eq!(
            written(&config),
            [
                "cpu.max=150000 100000",
                "cpu.weight=200",
                "cpuset.cpus=0-1",
                "memory.max=67108864",
                "memory.swap.max=0",
                "memory.oom.group=1",
                "pids.max=9",
                "io.weight=default 50",
            ]
        );
    }

    #[test]
    fn a_device_is_named_by_its_numbers() {
        let limit =
            IoLimit { read_bytes: Some(1024), write_operations: Some(5), ..IoLimit::default() };
        assert_eq!(io_max("8:0", &limit), "8:0 rbps=1024 wiops=5");
        let error = whole_device(Path::new("/dev/null")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
