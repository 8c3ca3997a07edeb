//! The kind of processor this is.

use anyhow::{Context, bail};

/// What Firecracker's releases and Debian call a processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Processor {
    /// `x86_64` or `aarch64`.
    pub(crate) machine: &'static str,
    /// `amd64` or `arm64`.
    pub(crate) debian: &'static str,
}

/// This machine's.
pub(crate) fn of_this_machine() -> anyhow::Result<Processor> {
    match std::env::consts::ARCH {
        "x86_64" => Ok(Processor { machine: "x86_64", debian: "amd64" }),
        "aarch64" => Ok(Processor { machine: "aarch64", debian: "arm64" }),
        other => bail!("Firecracker does not run on {other}"),
    }
}

/// The module that makes KVM of the processor that `/proc/cpuinfo` describes, when it is one.
pub(crate) fn kvm_module() -> anyhow::Result<Option<&'static str>> {
    let cpuinfo = fs_err::read_to_string("/proc/cpuinfo").context("read the processor's flags")?;
    Ok(kvm_module_of(&cpuinfo))
}

fn kvm_module_of(cpuinfo: &str) -> Option<&'static str> {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"))?;
    let has = |flag| flags.split_whitespace().any(|word| word == flag);
    if has("svm") {
        Some("kvm_amd")
    } else if has("vmx") {
        Some("kvm_intel")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kvm_module_follows_the_processor_flags() {
        assert_eq!(kvm_module_of("vendor_id : x\nflags\t\t: fpu svm lm\n"), Some("kvm_amd"));
        assert_eq!(kvm_module_of("flags\t\t: fpu vmx lm\n"), Some("kvm_intel"));
        assert_eq!(kvm_module_of("flags\t\t: fpu svme\n"), None);
        assert_eq!(kvm_module_of(""), None);
    }
}
