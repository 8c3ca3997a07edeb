//! May Firecracker have the threads that it needs?

use rustix::process::{Resource, getrlimit};

/// Besides one for each processor: its own two, and the kernel's for its virtual machine. With one fewer
/// Firecracker starts the guest and a processor never runs.
const THREADS: u64 = 3;

/// This process' limit of threads (RLIMIT_NPROC), which Firecracker inherits and which counts once it is
/// no longer root's, is too low. Code `PROCESS_LIMIT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the VM needs {needed} threads, and its user may have {allowed} (RLIMIT_NPROC)")]
pub struct TooFewThreads {
    /// What it needs.
    pub needed: u64,
    /// What it may have.
    pub allowed: u64,
}

impl TooFewThreads {
    pub(super) fn hint(self) -> String {
        "raise the limit: `ulimit -u`, or LimitNPROC= of the service".to_owned()
    }
}

pub(crate) fn check_threads(vcpus: u32) -> Result<(), super::PreflightError> {
    Ok(judge(vcpus, getrlimit(Resource::Nproc).current)?)
}

fn judge(vcpus: u32, allowed: Option<u64>) -> Result<(), TooFewThreads> {
    let needed = u64::from(vcpus) + THREADS;
    match allowed.filter(|allowed| *allowed < needed) {
        Some(allowed) => Err(TooFewThreads { needed, allowed }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_stops_a_processor_is_refused_and_one_more_is_not() {
        assert_eq!(judge(1, None), Ok(()));
        assert_eq!(judge(1, Some(4)), Ok(()));
        assert_eq!(judge(1, Some(3)), Err(TooFewThreads { needed: 4, allowed: 3 }));
        assert_eq!(judge(4, Some(6)), Err(TooFewThreads { needed: 7, allowed: 6 }));
    }
}
