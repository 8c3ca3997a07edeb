//! What Firecracker's exit codes and the usual signals stand for.

/// Firecracker's own codes, from its `FcExitCode`.
pub(super) const fn code_meaning(code: i32) -> &'static str {
    match code {
        0 => "an orderly end",
        1 => "a general failure, which its log names",
        2 => "an unexpected failure, which its log names",
        148 => "a forbidden system call (seccomp)",
        149 => "a bus error (SIGBUS), as when a file it maps was cut short",
        150 => "an invalid memory access (SIGSEGV)",
        151 => "a file grew beyond its limit (SIGXFSZ)",
        152 => "a bad configuration",
        153 => "bad command line arguments",
        154 => "its processor time was used up (SIGXCPU)",
        155 => "a broken pipe (SIGPIPE)",
        156 => "a hangup (SIGHUP)",
        157 => "an illegal instruction (SIGILL)",
        _ => "a code that Firecracker does not use",
    }
}

/// The name of a signal that ended a process.
pub(super) const fn signal_meaning(signal: i32) -> &'static str {
    match signal {
        libc::SIGHUP => "killed by SIGHUP",
        libc::SIGINT => "killed by SIGINT",
        libc::SIGQUIT => "killed by SIGQUIT",
        libc::SIGILL => "killed by SIGILL",
        libc::SIGTRAP => "killed by SIGTRAP",
        libc::SIGABRT => "killed by SIGABRT",
        libc::SIGBUS => "killed by SIGBUS",
        libc::SIGFPE => "killed by SIGFPE",
        libc::SIGKILL => "killed by SIGKILL",
        libc::SIGSEGV => "killed by SIGSEGV",
        libc::SIGPIPE => "killed by SIGPIPE",
        libc::SIGALRM => "killed by SIGALRM",
        libc::SIGTERM => "killed by SIGTERM",
        libc::SIGUSR1 => "killed by SIGUSR1",
        libc::SIGUSR2 => "killed by SIGUSR2",
        libc::SIGXCPU => "killed by SIGXCPU",
        libc::SIGXFSZ => "killed by SIGXFSZ",
        libc::SIGSYS => "killed by SIGSYS",
        _ => "killed by a signal",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_that_firecracker_uses_has_a_meaning_of_its_own() {
        let mut meanings: Vec<_> =
            [0, 1, 2].into_iter().chain(148..=157).map(code_meaning).collect();
        meanings.push(code_meaning(3));
        let count = meanings.len();
        meanings.sort_unstable();
        meanings.dedup();
        assert_eq!(meanings.len(), count);
    }

    #[test]
    fn codes_beyond_the_table_are_not_given_a_meaning() {
        assert_eq!(code_meaning(147), code_meaning(158));
        assert_eq!(code_meaning(-1), code_meaning(3));
    }
}
