//! What the exit code of the command means.
//!
//! Scripts branch on these numbers, so a number never changes its meaning.
//! 5 is kept free for "the daemon cannot be reached".

use std::io;

use smartvm::ErrorKind;

/// How the command ended, as its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done. For `run`: the guest ended by itself, or a key asked for its end.
    Ok,
    /// The operation failed; the error says why.
    Failed,
    /// The command line, a configuration or a file that was named is wrong.
    Usage,
    /// Something that was named does not exist.
    NotFound,
    /// Something is in the way, or the host lacks what the operation needs.
    Conflict,
    /// Firecracker ended with an error while the guest ran.
    VmmCrashed,
    /// The guest's kernel panicked.
    GuestPanicked,
    /// A bug in this command.
    Bug,
    /// A program was to run in a guest, and smartvm failed.
    NotRun,
    /// What a program in a guest returned, or what a shell says of one that could not be run.
    Program(u8),
    /// SIGHUP ended the guest before it stopped by itself.
    HungUp,
    /// SIGINT (Ctrl-C) ended the guest before it stopped by itself.
    Interrupted,
    /// Nobody reads the output any more.
    OutputClosed,
    /// SIGTERM ended the guest before it stopped by itself.
    Terminated,
}

impl Exit {
    /// All with a meaning of their own.
    const ALL: [Self; 13] = [
        Self::Ok,
        Self::Failed,
        Self::Usage,
        Self::NotFound,
        Self::Conflict,
        Self::VmmCrashed,
        Self::GuestPanicked,
        Self::Bug,
        Self::NotRun,
        Self::HungUp,
        Self::Interrupted,
        Self::OutputClosed,
        Self::Terminated,
    ];

    /// The number the shell sees.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Conflict => 4,
            Self::VmmCrashed => 10,
            Self::GuestPanicked => 11,
            Self::Bug => 70,
            Self::NotRun => 125,
            Self::HungUp => 129,
            Self::Interrupted => 130,
            Self::OutputClosed => 141,
            Self::Terminated => 143,
            Self::Program(code) => code,
        }
    }

    /// The meaning in a few words, as `--help` shows it.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "done; for `run`: the guest ended, or a key asked for its end",
            Self::Failed => "the operation failed",
            Self::Usage => "the command line, a configuration or a file that was named is wrong",
            Self::NotFound => "something that was named does not exist",
            Self::Conflict => "something is in the way, or the host lacks what is needed",
            Self::VmmCrashed => "Firecracker ended with an error",
            Self::GuestPanicked => "the guest's kernel panicked",
            Self::Bug => "a bug in smartvm",
            Self::NotRun => {
                "smartvm failed to run a program in a guest; 126: it is not executable; 127: there is none"
            }
            Self::Program(_) => "what the program in the guest returned",
            Self::HungUp => "SIGHUP ended the guest",
            Self::Interrupted => "Ctrl-C (SIGINT) ended the guest",
            Self::OutputClosed => "nobody reads the output any more",
            Self::Terminated => "SIGTERM ended the guest",
        }
    }

    /// The exit code that goes with a stable error code of ours or of the library.
    pub(crate) fn for_error_code(code: &str) -> Self {
        match code {
            "USAGE" | "BODY_NOT_JSON" => Self::Usage,
            "AGENT_NOT_FOUND" | "NETWORK_NOT_FOUND" => Self::NotFound,
            // Of errors that end a guest which ran.
            "PROCESS_EXITED" | "VMM_CRASHED" | "VMM_EXITED" | "VM_OUT_OF_MEMORY" => {
                Self::VmmCrashed
            }
            "GUEST_PANICKED" => Self::GuestPanicked,
            "OUTPUT_CLOSED" => Self::OutputClosed,
            "BUG" => Self::Bug,
            code => ErrorKind::of_code(code).map_or(Self::Failed, Self::for_kind),
        }
    }

    fn for_kind(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::InvalidInput => Self::Usage,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Conflict | ErrorKind::Unsupported => Self::Conflict,
            ErrorKind::Internal => Self::Bug,
            // `Unavailable`, and kinds of a later library.
            _ => Self::Failed,
        }
    }

    /// The exit code of an error about a file that the caller named, when its causes say that it does not exist, or
    /// that something is there already.
    pub(crate) fn for_named_file(code: &str, cause: io::ErrorKind) -> Option<Self> {
        let is_named = matches!(
            code,
            "BASE_IMAGE_MANIFEST_FAILED"
                | "BODY_UNREADABLE"
                | "BUNDLE_BUILD_FAILED"
                | "DRIVE_UNUSABLE"
                | "ENV_FILE_UNREADABLE"
                | "FILE_UNREADABLE"
                | "FIREWALL_UNREADABLE"
                | "INITRD_UNREADABLE"
                | "INVALID_CONFIG"
                | "KERNEL_UNREADABLE"
                | "KEY_UNUSABLE"
                | "METADATA_UNREADABLE"
                | "ROOTFS_CLONE_FAILED"
                | "ROOTFS_CREATE_FAILED"
                | "ROOTFS_RESIZE_FAILED"
                | "ROOTFS_SOURCE_UNREADABLE"
                | "WIREGUARD_UNREADABLE"
        );
        match cause {
            io::ErrorKind::NotFound if is_named => Some(Self::NotFound),
            io::ErrorKind::AlreadyExists if is_named => Some(Self::Conflict),
            _ => None,
        }
    }

    /// The table of all exit codes for `--help`.
    pub(crate) fn table() -> String {
        let rows =
            Self::ALL.iter().map(|exit| format!("  {:>3}  {}", exit.number(), exit.meaning()));
        format!("Exit codes:\n{}", rows.collect::<Vec<_>>().join("\n"))
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_row_in_the_table_once() {
        let table = Exit::table();
        for exit in Exit::ALL {
            let row = format!("{:>3}  {}", exit.number(), exit.meaning());
            assert_eq!(table.matches(&row).count(), 1, "{row}");
        }
    }

    #[test]
    fn error_codes_map_to_documented_exit_codes() {
        assert_eq!(Exit::for_error_code("FIRECRACKER_NOT_FOUND"), Exit::NotFound);
        assert_eq!(Exit::for_error_code("KERNEL_NOT_FOUND"), Exit::NotFound);
        assert_eq!(Exit::for_error_code("FIRECRACKER_WRONG_ARCH"), Exit::Conflict);
        assert_eq!(Exit::for_error_code("IMAGE_IN_USE"), Exit::Conflict);
        assert_eq!(Exit::for_error_code("PROCESS_EXITED"), Exit::VmmCrashed);
        assert_eq!(Exit::for_error_code("API_REFUSED"), Exit::Failed);
        for refused in ["TAP_UNUSABLE", "VSOCK_PATH_UNUSABLE", "FIRECRACKER_TOO_OLD"] {
            assert_eq!(Exit::for_error_code(refused), Exit::Conflict, "{refused}");
        }
        assert_eq!(Exit::for_error_code("NO_SUCH_DEVICE"), Exit::NotFound);
        assert_eq!(Exit::for_error_code("a code from a later release"), Exit::Failed);
    }
}
