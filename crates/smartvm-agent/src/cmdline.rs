//! The kernel's command line, as far as it is for us.

use std::fmt;

use crate::address::Address;
use crate::failure::Failure;

const PATH: &str = "/proc/cmdline";

/// What the command line says. Of an option that is given more than once, the last counts.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct CommandLine {
    pub(crate) root: Option<String>,
    pub(crate) root_type: Option<String>,
    pub(crate) writable: bool,
    pub(crate) init: Option<String>,
    /// One for each network device that has a fixed address.
    pub(crate) addresses: Vec<Address>,
    /// How we live in the guest once its root is there.
    pub(crate) role: BootRole,
    /// What comes after `--`: arguments of the root's init.
    pub(crate) init_arguments: Vec<String>,
}

/// How the agent lives in a guest that it has booted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BootRole {
    /// Beside the root's init, when the guest has a virtual socket.
    #[default]
    Beside,
    /// As process 1: the root's init is not run.
    Init,
    /// Not at all.
    None,
}

impl CommandLine {
    pub(crate) fn read() -> Result<Self, Failure> {
        let bytes = fs_read(PATH).map_err(|error| Failure::new(format!("read {PATH}"), error))?;
        Ok(Self::parse(&String::from_utf8_lossy(&bytes)))
    }

    /// Reads a command line. `rootflags=`, `rootwait` and all the others are passed over.
    pub(crate) fn parse(text: &str) -> Self {
        let mut parsed = Self::default();
        let mut words = words(text);
        for word in words.by_ref() {
            if word == "--" {
                break;
            }
            match word.split_once('=') {
                Some(("root", value)) => parsed.root = non_empty(value),
                Some(("rootfstype", value)) => parsed.root_type = non_empty(value),
                Some(("init", value)) => parsed.init = non_empty(value),
                Some(("smartvm.role", value)) => parsed.role = BootRole::of(value),
                Some(("ip", value)) => parsed.addresses.extend(Address::parse(value)),
                None if word == "rw" => parsed.writable = true,
                None if word == "ro" => parsed.writable = false,
                _ => {}
            }
        }
        parsed.init_arguments = words.collect();
        parsed
    }

    /// The device to mount as the root.
    pub(crate) fn root_device(&self) -> Result<&str, Failure> {
        let cannot = |reason: &dyn fmt::Display| Failure::new("mount the root", reason);
        let Some(root) = &self.root else {
            return Err(cannot(&"the kernel's command line has no root=, such as root=/dev/vda"));
        };
        if !root.starts_with("/dev/") || root.split('/').any(|part| part == "..") {
            let reason =
                format!("root={root} is not a device's path; give one such as root=/dev/vda");
            return Err(cannot(&reason));
        }
        Ok(root)
    }
}

impl BootRole {
    /// A word that is not known is as good as none: the guest boots as it is used to.
    fn of(value: &str) -> Self {
        match value {
            "init" => Self::Init,
            "none" => Self::None,
            _ => Self::Beside,
        }
    }
}

/// The words of a command line, separated by white space outside of double quotes; the quotes
/// themselves are left out, as the kernel does.
fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    let mut rest = text.trim_start();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut quoted = false;
        let end = rest.find(|char: char| {
            quoted ^= char == '"';
            !quoted && char.is_ascii_whitespace()
        });
        let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after.trim_start();
        Some(word.replace('"', ""))
    })
}

fn non_empty(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

#[expect(clippy::disallowed_methods, reason = "the message names the path; fs_err is not in here")]
fn fs_read(path: &str) -> std::io::Result<Vec<u8>> {
    std::fs::read(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_firecracker_appends_is_understood() {
        let line = "console=ttyS0 reboot=k panic=1 pci=off quiet root=/dev/vda rw virtio_mmio.device=4K@0xd0000000:5\n";
        let parsed = CommandLine::parse(line);
        assert_eq!(parsed.root_device().unwrap(), "/dev/vda");
        assert!(parsed.writable);
        assert_eq!((parsed.init, parsed.root_type), (None, None));
        assert!(parsed.init_arguments.is_empty());
    }

    #[test]
    fn the_last_of_an_option_counts_and_read_only_is_the_default() {
        let parsed = CommandLine::parse("root=/dev/vda root=/dev/vdb1 rw ro");
        assert_eq!(parsed.root.as_deref(), Some("/dev/vdb1"));
        assert!(!parsed.writable);
        assert!(!CommandLine::parse("root=/dev/vda").writable);
    }

    #[test]
    fn everything_after_two_dashes_goes_to_init() {
        let parsed =
            CommandLine::parse("init=/bin/sh root=/dev/vda -- -c \"echo  a b\" root=/dev/x");
        assert_eq!(parsed.init.as_deref(), Some("/bin/sh"));
        assert_eq!(parsed.init_arguments, ["-c", "echo  a b", "root=/dev/x"]);
        assert_eq!(parsed.root.as_deref(), Some("/dev/vda"));
    }

    #[test]
    fn the_role_of_the_agent_is_beside_the_roots_init_unless_said_otherwise() {
        assert_eq!(CommandLine::parse("root=/dev/vda").role, BootRole::Beside);
        assert_eq!(CommandLine::parse("smartvm.role=init -- x").role, BootRole::Init);
        assert_eq!(CommandLine::parse("smartvm.role=none").role, BootRole::None);
        assert_eq!(CommandLine::parse("-- smartvm.role=none").role, BootRole::Beside);
    }

    #[test]
    fn words_that_only_look_alike_are_passed_over() {
        let parsed =
            CommandLine::parse("rootflags=x rootwait rw=1 noinit init rdinit=/x root= ro_x");
        assert_eq!(parsed, CommandLine::default());
    }

    #[test]
    fn a_root_that_is_missing_or_no_device_is_said_clearly() {
        let message = |line: &str| CommandLine::parse(line).root_device().unwrap_err().to_string();
        assert!(message("quiet").contains("no root="));
        assert!(
            message("root=PARTUUID=12-01").contains("root=PARTUUID=12-01 is not a device's path")
        );
        assert!(message("root=/dev/../etc/passwd").contains("not a device's path"));
    }

    proptest! {
        #[test]
        fn any_text_is_parsed(text in ".*") {
            CommandLine::parse(&text);
        }

        #[test]
        fn words_put_together_with_spaces_come_apart_again(
            given in proptest::collection::vec("[a-z=/.-]{1,8}", 0..8),
        ) {
            let line = given.join("  ");
            prop_assert_eq!(words(&line).collect::<Vec<_>>(), given);
        }

        #[test]
        fn options_are_found_between_any_others(noise in "[a-z_.=0-9 ]{0,40}") {
            prop_assume!(!noise.split(' ').any(|word| word.starts_with("root=")));
            let parsed = CommandLine::parse(&format!("{noise} root=/dev/vdc {noise}"));
            prop_assert_eq!(parsed.root.as_deref(), Some("/dev/vdc"));
        }
    }
}
