//! How far the programs are confined that make and mend file systems of what others wrote.

use smartvm_images::ToolConfinement;

use super::report::{Check, Subject};

const SUBJECT: Subject = Subject { id: "host-tools", title: "Confinement of file system programs" };

pub(super) fn check() -> Check {
    of(ToolConfinement::of_this_host())
}

fn of(confinement: ToolConfinement) -> Check {
    match (confinement.landlock, confinement.own_user) {
        (true, true) => SUBJECT.pass("a user of their own, without network, and Landlock"),
        (true, false) => SUBJECT.info(
            "Landlock and no sockets; they are this user, and the number of their processes is not limited",
        ),
        (false, _) => SUBJECT.warn(
            "this kernel has no Landlock: a program that an image takes over can read files of this host",
            "boot with lsm=landlock,… on Linux 5.13 or newer, or build images of others in a VM",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Status;
    use super::*;

    #[test]
    fn what_the_kernel_lacks_is_said() {
        let status = |landlock, own_user| of(ToolConfinement { own_user, landlock }).status;
        assert_eq!(status(true, true), Status::Pass);
        assert_eq!(status(true, false), Status::Info);
        assert_eq!(status(false, true), Status::Warn);
    }
}
