//! How a program in a guest ended.

use std::fmt;
use std::time::Duration;

use smartvm_protocol::agent::{Ended, Exit};

/// The end of a program in a guest, as the guest tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitStatus {
    exit: RawExit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RawExit {
    ended: Ended,
    timed_out: bool,
    oom_kills: u64,
    truncated: bool,
    user: Duration,
    system: Duration,
    peak_rss: u64,
}

impl ExitStatus {
    /// Whether it returned 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.exit.ended == Ended::Code(0)
    }

    /// What it returned; none when a signal ended it.
    #[must_use]
    pub fn code(&self) -> Option<u8> {
        match self.exit.ended {
            Ended::Code(code) => Some(code),
            Ended::Signal { .. } => None,
        }
    }

    /// The number of the signal that ended it.
    #[must_use]
    pub fn signal(&self) -> Option<u8> {
        match self.exit.ended {
            Ended::Code(_) => None,
            Ended::Signal { number, .. } => Some(number),
        }
    }

    /// What a shell would say of it: what it returned, or 128 and the number of the signal.
    #[must_use]
    pub fn shell_code(&self) -> u8 {
        self.exit.ended.shell_code()
    }

    /// Whether its memory was written to a core file.
    #[must_use]
    pub fn core_dumped(&self) -> bool {
        matches!(self.exit.ended, Ended::Signal { core: true, .. })
    }

    /// Whether the guest ended it as its time was over.
    #[must_use]
    pub fn timed_out(&self) -> bool {
        self.exit.timed_out
    }

    /// How many of its processes the guest's kernel killed as memory ran out.
    #[must_use]
    pub fn oom_kills(&self) -> u64 {
        self.exit.oom_kills
    }

    /// Whether a process that it left behind still held its output, which was not read any more.
    #[must_use]
    pub fn truncated(&self) -> bool {
        self.exit.truncated
    }

    /// The processor time of the program itself, within it and within the kernel.
    #[must_use]
    pub fn processor_time(&self) -> (Duration, Duration) {
        (self.exit.user, self.exit.system)
    }

    /// The most memory that it had at once, in bytes.
    #[must_use]
    pub fn peak_memory(&self) -> u64 {
        self.exit.peak_rss
    }
}

impl From<Exit> for ExitStatus {
    fn from(exit: Exit) -> Self {
        let Exit { ended, timed_out, oom_kills, truncated, user_us, system_us, peak_rss } = exit;
        let (user, system) = (Duration::from_micros(user_us), Duration::from_micros(system_us));
        let exit = RawExit { ended, timed_out, oom_kills, truncated, user, system, peak_rss };
        Self { exit }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.exit.ended {
            Ended::Code(code) => write!(f, "exit code {code}")?,
            Ended::Signal { number, core } => {
                write!(f, "signal {number}{}", if core { " (core dumped)" } else { "" })?;
            }
        }
        if self.exit.timed_out {
            f.write_str(", as its time was over")?;
        }
        if self.exit.oom_kills > 0 {
            f.write_str(", as memory ran out")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(ended: Ended) -> ExitStatus {
        let (user_us, system_us) = (1, 2);
        let exit = Exit {
            ended,
            timed_out: false,
            oom_kills: 0,
            truncated: false,
            user_us,
            system_us,
            peak_rss: 3,
        };
        exit.into()
    }

    #[test]
    fn a_code_and_a_signal_are_told_apart_and_shells_say_both() {
        let returned = status(Ended::Code(3));
        assert_eq!((returned.code(), returned.signal(), returned.shell_code()), (Some(3), None, 3));
        assert!(!returned.success() && status(Ended::Code(0)).success());
        let killed = status(Ended::Signal { number: 9, core: false });
        assert_eq!((killed.code(), killed.signal(), killed.shell_code()), (None, Some(9), 137));
        assert_eq!(killed.to_string(), "signal 9");
    }
}
