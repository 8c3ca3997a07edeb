//! Whether Firecracker exists for this kind of machine.

use super::report::{Check, Subject};

const SUBJECT: Subject = Subject { id: "architecture", title: "Architecture" };

pub(super) fn check() -> Check {
    judge(std::env::consts::ARCH)
}

fn judge(architecture: &str) -> Check {
    match architecture {
        "x86_64" | "aarch64" => SUBJECT.pass(architecture),
        other => SUBJECT.fail(other, "use an x86_64 or aarch64 machine"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Status;
    use super::*;

    #[test]
    fn only_two_architectures_will_do() {
        assert_eq!(judge("aarch64").status, Status::Pass);
        assert_eq!(judge("riscv64").status, Status::Fail);
    }
}
