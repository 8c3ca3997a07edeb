//! How many files may be open: more for the agent, as many as before for its programs.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What all sessions together need, with some to spare.
const NEEDED: u64 = 16 << 10;

/// Lets the agent have what its sessions need, or as much as it may, and gives what its programs shall have: what it was
/// given itself. Some of them close every file that they could have.
pub(crate) fn raise() -> Rlimit {
    let given = getrlimit(Resource::Nofile);
    let more = |limit: Option<u64>| limit.map(|limit| limit.max(NEEDED));
    let wanted = Rlimit { current: more(given.current), maximum: more(given.maximum) };
    // Only root of the machine may have more than it was allowed.
    if setrlimit(Resource::Nofile, wanted).is_err() {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: given.maximum, ..given });
    }
    given
}
