//! What a guest's speed means.

use std::ffi::CStr;
use std::time::Duration;

use crate::doctor::report::{Check, Subject};

const SUBJECT: Subject = Subject { id: "kvm-guest-speed", title: "Speed of guest code" };

/// From here on a stock kernel boots in seconds. Hardware gives thousands; a host in an emulator,
/// whose guests boot in 4 to 9 seconds, some hundreds, or some tens while others keep it busy.
#[cfg(any(target_arch = "x86_64", test))]
const GOOD: u64 = 100_000_000;

/// Below this a stock kernel takes minutes, if it boots at all: the software that emulates guest
/// kernels gives one or two million and lacks some instructions.
#[cfg(any(target_arch = "x86_64", test))]
const USABLE: u64 = 10_000_000;

/// Runs a guest and judges its speed.
#[cfg(target_arch = "x86_64")]
pub(in crate::doctor) fn check(device: &CStr, budget: Duration) -> Check {
    use super::measure::measure;

    match measure(device, budget) {
        Ok(speed) => judge(speed.instructions_per_second()),
        Err(error) => {
            let source = std::error::Error::source(&error);
            let cause = source.map(|source| format!(": {source}")).unwrap_or_default();
            SUBJECT.fail(format!("{error}{cause}"), "see `dmesg` for what KVM says")
        }
    }
}

/// Judges nothing yet.
#[cfg(not(target_arch = "x86_64"))]
pub(in crate::doctor) fn check(_device: &CStr, _budget: Duration) -> Check {
    SUBJECT.info("not measured on this architecture")
}

/// The result where KVM cannot be used.
pub(in crate::doctor) fn not_tried() -> Check {
    SUBJECT.info("not tried, since KVM is not usable")
}

#[cfg(any(target_arch = "x86_64", test))]
fn judge(instructions_per_second: u64) -> Check {
    let millions = instructions_per_second / 100_000;
    let speed = format!("{}.{} million instructions a second", millions / 10, millions % 10);
    let check = if instructions_per_second >= GOOD {
        SUBJECT.pass(speed)
    } else if instructions_per_second >= USABLE {
        SUBJECT.warn(
            format!("{speed}: guests are slow"),
            "use a host whose processor virtualises by itself",
        )
    } else {
        SUBJECT.fail(
            format!("{speed}: KVM emulates guest code"),
            "a stock Linux kernel will not boot here, only tiny guests run; use another host, or \
             for trials the emulated one of `cargo xtask lab`",
        )
    };
    check.figure("instructionsPerSecond", instructions_per_second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::Status;

    #[test]
    fn speed_decides() {
        assert_eq!(judge(3_000_000_000).status, Status::Pass);
        assert_eq!(judge(360_000_000).status, Status::Pass);
        assert_eq!(judge(44_000_000).status, Status::Warn);
        assert_eq!(judge(9_999_999).status, Status::Fail);
        let slow = judge(1_540_000);
        assert_eq!(slow.status, Status::Fail);
        assert_eq!(slow.found, "1.5 million instructions a second: KVM emulates guest code");
        assert_eq!(slow.figures["instructionsPerSecond"], 1_540_000);
        assert!(slow.remedy.unwrap().contains("cargo xtask lab"));
    }
}
