//! Passing lines on to `tracing`, no more of them than somebody can read.

use std::time::Instant;

use tracing::Level;

use super::allowance::{Allowance, Verdict};
use super::{LogLine, Severity};

/// Passes the lines of one Firecracker on.
#[derive(Debug)]
pub(super) struct Relay {
    /// The VM, as in every event of this library.
    vm: String,
    /// Firecracker's `--id`, which is another one in a jail.
    instance: String,
    allowance: Allowance,
}

macro_rules! emit {
    ($relay:ident, $line:ident, $level:expr) => {
        if tracing::enabled!(target: "smartvm::firecracker", $level) && $relay.may_pass($line) {
            tracing::event!(
                target: "smartvm::firecracker",
                $level,
                vm = $relay.vm,
                instance = $relay.instance,
                thread = $line.thread.as_deref(),
                origin = $line.origin.as_deref(),
                "{}",
                visible(&$line.message)
            );
        }
    };
}

impl Relay {
    pub(super) fn new(vm: String, instance: String) -> Self {
        Self { vm, instance, allowance: Allowance::new(Instant::now()) }
    }

    /// Emits a line at its own level; one that has none is a message's further line, or a panic's.
    ///
    /// Control characters are taken out: a part of the message may come from the guest. So does how
    /// many lines there are: what exceeds the [`Allowance`] is left out, counted and told. A level
    /// that nobody listens to counts for nothing.
    pub(super) fn pass_on(&mut self, line: &LogLine) {
        match line.level {
            Some(Severity::Trace) => emit!(self, line, Level::TRACE),
            Some(Severity::Debug) => emit!(self, line, Level::DEBUG),
            Some(Severity::Info) | None => emit!(self, line, Level::INFO),
            Some(Severity::Warn) => emit!(self, line, Level::WARN),
            Some(Severity::Error) => emit!(self, line, Level::ERROR),
        }
    }

    /// Tells what was left out until the end.
    pub(super) fn finish(&self) {
        self.tell(self.allowance.left_out());
    }

    fn may_pass(&mut self, line: &LogLine) -> bool {
        match self.allowance.take(line.message.len(), Instant::now()) {
            Verdict::Pass { left_out } => {
                self.tell(left_out);
                true
            }
            Verdict::LeaveOut { first } => {
                if first {
                    tracing::warn!(
                        target: "smartvm::firecracker",
                        vm = self.vm,
                        "Firecracker's log grows too fast: its next lines are left out"
                    );
                }
                false
            }
        }
    }

    fn tell(&self, left_out: u64) {
        if left_out > 0 {
            tracing::warn!(
                target: "smartvm::firecracker",
                vm = self.vm,
                left_out,
                "lines of Firecracker's log were left out"
            );
        }
    }
}

fn visible(message: &str) -> String {
    message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
