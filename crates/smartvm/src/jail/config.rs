//! What a VM's configuration says of its jail.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::Breaches;

/// The key `jail` of a VM's configuration. Everything in it may be absent.
///
/// ```
/// let jail: smartvm::JailConfig = serde_json::from_str(
///     r#"{"cgroup":{"cpuMaxPercent":150,"memoryMaxMib":512,"pidsMax":64},
///         "resourceLimits":{"noFile":512},"netns":"/run/netns/guests"}"#,
/// )?;
/// assert_eq!(jail.cgroup.pids_max, Some(64));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JailConfig {
    /// Whether the VM is jailed; what the manager's [`JailMode`](crate::JailMode) says when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The user that Firecracker becomes; a free one of the manager's range when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// The group that Firecracker becomes; the one with the number of the user when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
    /// The network namespace that Firecracker joins, such as `/run/netns/NAME`; the one of this
    /// process when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netns: Option<PathBuf>,
    /// Limits to all that Firecracker and its guest use together, over those that it gets anyway.
    #[serde(skip_serializing_if = "CgroupConfig::is_empty")]
    pub cgroup: CgroupConfig,
    /// Limits to the process.
    #[serde(skip_serializing_if = "ResourceLimitsConfig::is_empty")]
    pub resource_limits: ResourceLimitsConfig,
}

/// Limits by a control group (version 2). Whatever is asked for is set or the start fails.
///
/// What is not asked for is limited all the same where the host can: to what the VM's processors and
/// memory need. [`AppliedLimits`](crate::AppliedLimits) tells which limits are in force.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CgroupConfig {
    /// How much of one processor's time it may use, in percent: 150 is one and a half processors
    /// (`cpu.max`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_max_percent: Option<u32>,
    /// Its share of processors that are wanted by several, 1 to 10000 (`cpu.weight`); 100 for each
    /// virtual processor when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_weight: Option<u32>,
    /// Which processors it may use, such as `0-3,6` (`cpuset.cpus`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<String>,
    /// How much memory it may use in MiB, the guest's and Firecracker's own (`memory.max`). Swap is
    /// none then. What asks for more is killed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_max_mib: Option<u64>,
    /// How many threads it may have (`pids.max`). Firecracker needs 2 and one a processor, and the
    /// kernel's own for its virtual machine are counted as well: up to 2 more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids_max: Option<u32>,
    /// Its share of disks that are wanted by several, 1 to 10000 (`io.weight`), where the kernel
    /// shares them out so; 100 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io_weight: Option<u32>,
    /// How fast it may use block devices of the host (`io.max`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_max: Vec<IoLimit>,
}

/// How fast one block device of the host may be used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IoLimit {
    /// The device, such as `/dev/sda`.
    pub device: PathBuf,
    /// Bytes read a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_bytes: Option<u64>,
    /// Bytes written a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_bytes: Option<u64>,
    /// Reads a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_operations: Option<u64>,
    /// Writes a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_operations: Option<u64>,
}

/// Limits by `setrlimit`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceLimitsConfig {
    /// The size in bytes up to which it can make files grow, drives among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fsize: Option<u64>,
    /// How many files it can have open; 2048 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_file: Option<u64>,
}

impl JailConfig {
    /// Whether it says nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.enabled.is_none() && !self.asks_for_a_jail()
    }

    /// Whether it asks for something that only a jail has.
    pub(crate) fn asks_for_a_jail(&self) -> bool {
        self.uid.is_some()
            || self.gid.is_some()
            || self.netns.is_some()
            || !self.cgroup.is_empty()
            || !self.resource_limits.is_empty()
    }

    /// Takes over those limits of another's that are stricter. What names something of a host, processors and
    /// devices, is not taken over, nor anything that is no limit.
    pub(crate) fn tighten(&mut self, other: &Self) {
        fn stricter<T: Ord + Copy>(own: &mut Option<T>, other: Option<T>) {
            *own = match (*own, other) {
                (Some(own), Some(other)) => Some(own.min(other)),
                (own, other) => own.or(other),
            };
        }
        let (own, theirs) = (&mut self.cgroup, &other.cgroup);
        stricter(&mut own.cpu_max_percent, theirs.cpu_max_percent);
        stricter(&mut own.memory_max_mib, theirs.memory_max_mib);
        stricter(&mut own.pids_max, theirs.pids_max);
        let (own, theirs) = (&mut self.resource_limits, &other.resource_limits);
        stricter(&mut own.fsize, theirs.fsize);
        stricter(&mut own.no_file, theirs.no_file);
    }

    pub(crate) fn check(&self, breaches: &mut Breaches) {
        let is_no_root = |id: Option<u32>| id.is_none_or(|id| id != 0 && id != u32::MAX);
        breaches.require(is_no_root(self.uid), "jail.uid", "must not be root's");
        breaches.require(is_no_root(self.gid), "jail.gid", "must not be root's");
        let CgroupConfig {
            cpu_max_percent,
            cpu_weight,
            cpus,
            memory_max_mib,
            pids_max,
            io_weight,
            io_max,
        } = &self.cgroup;
        for (weight, key) in [(cpu_weight, "cpuWeight"), (io_weight, "ioWeight")] {
            breaches.require(
                weight.is_none_or(|weight| (1..=10_000).contains(&weight)),
                format!("jail.cgroup.{key}"),
                "must be from 1 to 10000",
            );
        }
        breaches.require(
            cpu_max_percent.is_none_or(|percent| (1..=1_000_000).contains(&percent)),
            "jail.cgroup.cpuMaxPercent",
            "must be from 1 to 1000000",
        );
        let is_list = |text: &str| {
            text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b',' | b'-'))
                && text.starts_with(|c: char| c.is_ascii_digit())
        };
        breaches.require(
            cpus.as_deref().is_none_or(is_list),
            "jail.cgroup.cpus",
            "must be a list such as `0-3,6`",
        );
        breaches.require(
            memory_max_mib.is_none_or(|mib| mib > 0 && mib <= 1 << 34),
            "jail.cgroup.memoryMaxMib",
            "must be at least 1",
        );
        breaches.require(
            pids_max.is_none_or(|pids| pids >= 3),
            "jail.cgroup.pidsMax",
            "must be at least 3: Firecracker needs 2 threads and one a processor",
        );
        for (index, limit) in io_max.iter().enumerate() {
            breaches.require(
                limit.device.is_absolute(),
                format!("jail.cgroup.ioMax[{index}].device"),
                "must be an absolute path",
            );
        }
        breaches.require(
            self.resource_limits.no_file.is_none_or(|files| files >= 64),
            "jail.resourceLimits.noFile",
            "must be at least 64: Firecracker has some 40 files open, and more with each device",
        );
    }
}

impl CgroupConfig {
    /// Whether no limit is asked for.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl CgroupConfig {
    /// What is said here, else there.
    #[must_use]
    pub(crate) fn or(&self, other: &Self) -> Self {
        Self {
            cpu_max_percent: self.cpu_max_percent.or(other.cpu_max_percent),
            cpu_weight: self.cpu_weight.or(other.cpu_weight),
            cpus: self.cpus.clone().or_else(|| other.cpus.clone()),
            memory_max_mib: self.memory_max_mib.or(other.memory_max_mib),
            pids_max: self.pids_max.or(other.pids_max),
            io_weight: self.io_weight.or(other.io_weight),
            io_max: if self.io_max.is_empty() { &other.io_max } else { &self.io_max }.clone(),
        }
    }

    /// What is said here of controllers that `has` approves of.
    #[must_use]
    pub(crate) fn only(&self, has: impl Fn(&'static str) -> bool) -> Self {
        let (cpu, memory, pids, io) = (has("cpu"), has("memory"), has("pids"), has("io"));
        Self {
            cpu_max_percent: self.cpu_max_percent.filter(|_| cpu),
            cpu_weight: self.cpu_weight.filter(|_| cpu),
            cpus: self.cpus.clone().filter(|_| has("cpuset")),
            memory_max_mib: self.memory_max_mib.filter(|_| memory),
            pids_max: self.pids_max.filter(|_| pids),
            io_weight: self.io_weight.filter(|_| io),
            io_max: if io { self.io_max.clone() } else { Vec::new() },
        }
    }
}

impl ResourceLimitsConfig {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaches(json: &str) -> Vec<String> {
        let config: JailConfig = serde_json::from_str(json).unwrap();
        let mut breaches = Breaches::default();
        config.check(&mut breaches);
        let invalid = breaches.into_result().err();
        let breaches = invalid.iter().flat_map(|invalid| invalid.breaches());
        breaches.map(ToString::to_string).collect()
    }

    #[test]
    fn each_broken_rule_is_named() {
        let json = r#"{"uid":0,"cgroup":{"cpuMaxPercent":0,"cpuWeight":0,"ioWeight":10001,"cpus":"a","memoryMaxMib":0,"pidsMax":2,
            "ioMax":[{"device":"sda"}]},"resourceLimits":{"noFile":1}}"#;
        let named: Vec<_> = breaches(json)
            .iter()
            .map(|breach| breach.split(' ').next().unwrap().to_owned())
            .collect();
        assert_eq!(
            named,
            [
                "jail.uid",
                "jail.cgroup.cpuWeight",
                "jail.cgroup.ioWeight",
                "jail.cgroup.cpuMaxPercent",
                "jail.cgroup.cpus",
                "jail.cgroup.memoryMaxMib",
                "jail.cgroup.pidsMax",
                "jail.cgroup.ioMax[0].device",
                "jail.resourceLimits.noFile",
            ]
        );
    }

    #[test]
    fn nothing_is_asked_for_unless_it_is() {
        let empty: JailConfig = serde_json::from_str("{}").unwrap();
        assert!(empty.is_empty() && breaches("{}").is_empty());
        assert_eq!(serde_json::to_string(&empty).unwrap(), "{}");
        let off: JailConfig = serde_json::from_str(r#"{"enabled":false}"#).unwrap();
        assert!(!off.is_empty() && !off.asks_for_a_jail());
        for json in [r#"{"uid":7}"#, r#"{"cgroup":{"pidsMax":9}}"#, r#"{"netns":"/n"}"#] {
            assert!(serde_json::from_str::<JailConfig>(json).unwrap().asks_for_a_jail(), "{json}");
        }
    }
}
