//! How many files this process may have open.

use rustix::process::{Resource, getrlimit};

use super::report::{Check, Subject};

const SUBJECT: Subject = Subject { id: "open-files", title: "Open files allowed (RLIMIT_NOFILE)" };

/// What the jailer allows one Firecracker.
const ENOUGH: u64 = 2048;

/// What one process has open for each jailed VM with a network device, measured with 57 and with 300: 14.9.
const FOR_A_VM: u64 = 15;

/// What it has open besides.
const FOR_ITSELF: u64 = 32;

pub(super) fn check() -> Check {
    let limit = getrlimit(Resource::Nofile);
    // No limit at all is how the kernel says "as many as you like".
    judge(limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX))
}

fn judge(soft: u64, hard: u64) -> Check {
    let room = |limit: u64| limit.saturating_sub(FOR_ITSELF) / FOR_A_VM;
    let check = if soft >= ENOUGH {
        SUBJECT.pass(format!("{soft}: room for {} machines in one process", room(soft)))
    } else if hard >= ENOUGH {
        SUBJECT.pass(format!(
            "{soft}: room for {} machines in one process, {} where it raises its limit to {hard}, as \
             `smartvm run` does",
            room(soft),
            room(hard)
        ))
    } else {
        SUBJECT.warn(
            format!("at most {hard}: room for {} machines in one process", room(hard)),
            format!("run `ulimit -Hn {ENOUGH}` as root, or set LimitNOFILE= of the service"),
        )
    };
    check.figure("softCount", soft).figure("hardCount", hard).figure("roomCount", room(hard))
}

#[cfg(test)]
mod tests {
    use super::super::report::Status;
    use super::*;

    #[test]
    fn it_tells_how_many_machines_there_is_room_for() {
        let check = judge(2048, 4096);
        assert_eq!(check.status, Status::Pass);
        assert!(check.found.contains("room for 134 machines"), "{}", check.found);
        let check = judge(1024, 524_288);
        assert_eq!((check.status, check.figures["roomCount"]), (Status::Pass, 34_950));
        assert!(check.found.contains("room for 66 machines"), "{}", check.found);
        assert_eq!(judge(256, 1024).status, Status::Warn);
    }
}
