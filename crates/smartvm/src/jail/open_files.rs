//! How many files a jailed Firecracker may have open.

use rustix::process::{Resource, getrlimit};
use rustix::thread::{CapabilitySet, capabilities};

/// What the jailer sets when it is told nothing.
const JAILERS_OWN: u64 = 2048;

/// What Firecracker needs with a few devices.
const LEAST: u64 = 64;

/// The system allows fewer open files than a jail needs, or than was asked for. Code
/// `OPEN_FILES_LIMIT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the VM is to have {wanted} files open, and this process may give it {allowed}")]
pub struct TooFewOpenFiles {
    /// What it is to have.
    pub wanted: u64,
    /// The hard limit of this process, which it may not raise.
    pub allowed: u64,
}

impl TooFewOpenFiles {
    pub(super) fn hint(self) -> String {
        let Self { wanted, .. } = self;
        format!("raise the hard limit: `ulimit -Hn {wanted}`, or LimitNOFILE= of the service")
    }
}

/// What the jailer is to be told: nothing, unless it was asked for or the jailer's own is more than this
/// process may give. It would panic.
pub(super) fn open_files(asked: Option<u64>) -> Result<Option<u64>, TooFewOpenFiles> {
    let may_raise =
        capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_RESOURCE));
    decide(asked, getrlimit(Resource::Nofile).maximum.filter(|_| !may_raise))
}

fn decide(asked: Option<u64>, allowed: Option<u64>) -> Result<Option<u64>, TooFewOpenFiles> {
    let Some(allowed) = allowed.filter(|allowed| *allowed < asked.unwrap_or(JAILERS_OWN)) else {
        return Ok(asked);
    };
    match asked {
        Some(wanted) => Err(TooFewOpenFiles { wanted, allowed }),
        None if allowed < LEAST => Err(TooFewOpenFiles { wanted: LEAST, allowed }),
        None => Ok(Some(allowed)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_jailer_is_never_told_more_than_this_process_may_give() {
        assert_eq!(decide(None, None), Ok(None));
        assert_eq!(decide(None, Some(4096)), Ok(None));
        assert_eq!(decide(None, Some(2048)), Ok(None));
        assert_eq!(decide(None, Some(256)), Ok(Some(256)));
        assert_eq!(decide(None, Some(32)), Err(TooFewOpenFiles { wanted: 64, allowed: 32 }));
        assert_eq!(decide(Some(512), Some(1024)), Ok(Some(512)));
        assert_eq!(decide(Some(512), None), Ok(Some(512)));
        let error = decide(Some(512), Some(256)).unwrap_err();
        assert!(error.hint().contains("ulimit -Hn 512"), "{}", error.hint());
    }
}
