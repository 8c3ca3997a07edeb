//! What the exit code of the command means.
//!
//! Scripts branch on these numbers, so a number never changes its meaning.
//! 5 is kept free for "the daemon cannot be reached".

/// How the command ended, as its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done. For `run`: the guest ended by itself, or a key asked for its end.
    Ok,
    /// The operation failed; the error says why.
    Failed,
    /// The command line or a configuration file is wrong.
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
            Self::Usage => "the command line or a configuration is wrong",
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
            "BODY_NOT_JSON"
            | "INSTANCE_ID_INVALID"
            | "INVALID_BASE_IMAGE_CACHE_LIMIT"
            | "INVALID_BASE_IMAGE_MANIFEST"
            | "INVALID_CONFIG"
            | "INVALID_FIREWALL_CONFIG"
            | "INVALID_INTERFACE_NAME"
            | "INVALID_IP"
            | "INVALID_PUBLISHED_PORT"
            | "INVALID_KERNEL_NAME"
            | "INVALID_SNAPSHOT_NAME"
            | "INVALID_WIREGUARD_CONFIG"
            | "USAGE" => Self::Usage,
            "PROCESS_EXITED" | "VMM_CRASHED" | "VMM_EXITED" | "VM_OUT_OF_MEMORY" => {
                Self::VmmCrashed
            }
            "GUEST_PANICKED" => Self::GuestPanicked,
            "OUTPUT_CLOSED" => Self::OutputClosed,
            "BUG" | "INTERNAL" => Self::Bug,
            "BASE_IMAGE_IN_USE"
            | "IMAGE_IN_USE"
            | "IMAGE_OF_A_VM"
            | "BASE_IMAGE_UNSIGNED"
            | "BASE_IMAGE_WRONG_SIGNATURE"
            | "BRIDGE_UNUSABLE"
            | "BUNDLE_EXISTS"
            | "CGROUP_UNAVAILABLE"
            | "INTERFACE_EXISTS"
            | "IP_EXHAUSTED"
            | "IP_IN_USE"
            | "MAC_IN_USE"
            | "NETWORK_DIFFERS"
            | "PORT_IN_USE"
            | "PORT_UNAVAILABLE"
            | "SUBNET_IN_USE"
            | "FIRECRACKER_NOT_EXECUTABLE"
            | "FIRECRACKER_WRONG_ARCH"
            | "INVALID_STATE"
            | "JAILER_NOT_EXECUTABLE"
            | "JAILER_VERSION_MISMATCH"
            | "JAILER_WRONG_ARCH"
            | "DISK_BUDGET_EXCEEDED"
            | "DISK_NO_ROOM"
            | "HOST_LOCK_BUSY"
            | "JAIL_DIR_UNUSABLE"
            | "JAIL_NO_SPACE"
            | "JAIL_REQUIRED"
            | "JAIL_UNAVAILABLE"
            | "KERNEL_EXISTS"
            | "KERNEL_STORE_UNSAFE"
            | "KERNEL_WRONG_ARCH"
            | "MEMORY_EXCEEDS_HOST"
            | "NO_CLIENT"
            | "OPEN_FILES_LIMIT"
            | "PROCESS_LIMIT"
            | "ROOTFS_SHRINK_REFUSED"
            | "ROOTFS_TYPE_MISMATCH"
            | "SNAPSHOT_DRIVE_UNNAMED"
            | "SNAPSHOT_EXISTS"
            | "SNAPSHOT_IN_USE"
            | "SNAPSHOT_IS_DIFF"
            | "SNAPSHOT_IS_FULL"
            | "SNAPSHOT_LARGE_BLOCKS"
            | "SNAPSHOT_NOT_TRACKED"
            | "SNAPSHOT_NO_SPACE"
            | "SNAPSHOT_UNSIGNED"
            | "SNAPSHOT_WRONG_ARCH"
            | "SNAPSHOT_WRONG_BASE"
            | "SNAPSHOT_WRONG_CPU"
            | "SNAPSHOT_WRONG_FORMAT"
            | "SNAPSHOT_WRONG_SIGNATURE"
            | "UID_IN_USE"
            | "UID_RANGE_EXHAUSTED"
            | "UID_RANGE_TAKEN"
            | "UNSAFE_DIRECTORY"
            | "VM_EXISTS"
            | "VM_NOT_SERVED"
            | "VM_NOT_STARTED"
            | "VM_OWNER_DEAD"
            | "WIREGUARD_SETUP_FAILED" => Self::Conflict,
            code if code.ends_with("_NOT_FOUND") => Self::NotFound,
            _ => Self::Failed,
        }
    }

    /// Whether the error code is about a file that the caller named, so that its absence
    /// counts as [`Exit::NotFound`].
    pub(crate) fn is_about_a_named_file(code: &str) -> bool {
        matches!(
            code,
            "BASE_IMAGE_MANIFEST_FAILED"
                | "BODY_UNREADABLE"
                | "DRIVE_UNUSABLE"
                | "INITRD_UNREADABLE"
                | "INVALID_CONFIG"
                | "FIREWALL_UNREADABLE"
                | "KERNEL_UNREADABLE"
                | "ROOTFS_CLONE_FAILED"
                | "ROOTFS_RESIZE_FAILED"
                | "ROOTFS_SOURCE_UNREADABLE"
                | "WIREGUARD_UNREADABLE"
        )
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
        assert_eq!(Exit::for_error_code("a code from a later release"), Exit::Failed);
    }
}
