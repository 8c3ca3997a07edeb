//! Which processor a snapshot was taken on, and whether another can go on from there.

use std::collections::BTreeSet;
use std::io;

use serde::{Deserialize, Serialize};

/// A processor, as far as a guest that was saved on it depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CpuIdentity {
    /// Who made it: `AuthenticAMD`, `GenuineIntel`; on aarch64 the implementer's number.
    pub vendor: String,
    /// The family; on aarch64 the architecture's number.
    pub family: String,
    /// The model; on aarch64 the part's number.
    pub model: String,
    /// What its maker calls it; for people only, and empty where the kernel does not tell.
    pub model_name: String,
    /// What it can do, as the kernel names it.
    pub flags: BTreeSet<String>,
}

impl CpuIdentity {
    /// The processor of this host.
    ///
    /// # Errors
    /// When `/proc/cpuinfo` cannot be read.
    pub fn of_host() -> io::Result<Self> {
        Ok(Self::parse(&fs_err::read_to_string("/proc/cpuinfo")?))
    }

    /// Reads the first processor of a `/proc/cpuinfo`; what is not said stays empty.
    fn parse(text: &str) -> Self {
        let first = text.trim_start().split("\n\n").next().unwrap_or_default();
        let value = |keys: [&str; 2]| {
            let found = first.lines().filter_map(|line| line.split_once(':'));
            let found = found.map(|(key, value)| (key.trim(), value.trim()));
            found.into_iter().find(|(key, _)| keys.contains(key)).map_or("", |(_, value)| value)
        };
        Self {
            vendor: value(["vendor_id", "CPU implementer"]).to_owned(),
            family: value(["cpu family", "CPU architecture"]).to_owned(),
            model: value(["model", "CPU part"]).to_owned(),
            model_name: value(["model name", "Model"]).to_owned(),
            flags: value(["flags", "Features"]).split_whitespace().map(str::to_owned).collect(),
        }
    }

    /// What of this processor `host` has not, in words; empty when a guest saved here can go on
    /// there. A host that can do more is no difference.
    #[must_use]
    pub fn missing_on(&self, host: &Self) -> Vec<String> {
        let named = [
            ("vendor", &self.vendor, &host.vendor),
            ("family", &self.family, &host.family),
            ("model", &self.model, &host.model),
        ];
        let mut missing: Vec<String> = named
            .into_iter()
            .filter(|(_, saved, here)| saved != here)
            .map(|(what, saved, here)| format!("{what} {here} instead of {saved}"))
            .collect();
        let lacking: Vec<&str> = self.flags.difference(&host.flags).map(String::as_str).collect();
        if !lacking.is_empty() {
            missing.push(format!("without {}", lacking.join(" ")));
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AMD: &str = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\n\
        model name\t: AMD EPYC\nflags\t\t: fpu sse avx512f\n\nprocessor\t: 1\nvendor_id\t: Other\n";

    #[test]
    fn the_first_processor_is_read() {
        let cpu = CpuIdentity::parse(AMD);
        assert_eq!((cpu.vendor.as_str(), cpu.family.as_str()), ("AuthenticAMD", "25"));
        assert_eq!((cpu.model.as_str(), cpu.model_name.as_str()), ("17", "AMD EPYC"));
        assert_eq!(cpu.flags.len(), 3);
        let arm = CpuIdentity::parse(
            "processor : 0\nFeatures : fp asimd\nCPU implementer : 0x41\nCPU architecture: 8\n\
             CPU part : 0xd40\n",
        );
        assert_eq!((arm.vendor.as_str(), arm.model.as_str()), ("0x41", "0xd40"));
    }

    #[test]
    fn a_host_that_can_do_more_is_fine_and_one_that_can_do_less_is_named() {
        let saved = CpuIdentity::parse(AMD);
        let mut host = saved.clone();
        host.flags.insert("avx512_vnni".into());
        assert!(saved.missing_on(&host).is_empty());
        host.flags.remove("avx512f");
        host.model = "1".into();
        assert_eq!(saved.missing_on(&host), ["model 1 instead of 17", "without avx512f"]);
    }

    #[test]
    fn this_host_has_a_vendor_and_flags() {
        let cpu = CpuIdentity::of_host().unwrap();
        assert!(!cpu.vendor.is_empty() && !cpu.flags.is_empty(), "{cpu:?}");
    }
}
