//! Does the guest's memory fit into the host's?

/// A guest that would be larger than its host. Code `MEMORY_EXCEEDS_HOST`.
///
/// Memory that other guests already use is not counted: guest memory is made as it is touched, and
/// giving out more than there is can be a choice. More than all of it never is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the guest would have {asked_mib} MiB of memory, and the host has {host_mib}")]
pub struct MemoryExceedsHost {
    /// What the configuration asks for.
    pub asked_mib: u64,
    /// What the host has.
    pub host_mib: u64,
}

impl MemoryExceedsHost {
    pub(super) fn hint(&self) -> String {
        format!("ask for at most {} MiB", self.host_mib)
    }
}

pub(super) fn check(asked_mib: u64) -> Result<(), MemoryExceedsHost> {
    let host = rustix::system::sysinfo();
    let host_mib = (host.totalram * u64::from(host.mem_unit)) >> 20;
    if asked_mib <= host_mib { Ok(()) } else { Err(MemoryExceedsHost { asked_mib, host_mib }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_larger_than_the_host_is_refused() {
        check(128).unwrap();
        assert!(check(1 << 40).is_err());
    }
}
