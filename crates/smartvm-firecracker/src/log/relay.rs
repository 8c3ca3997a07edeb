//! Passing lines on to `tracing`.

use tracing::Level;

use super::{LogLine, Severity};

/// Emits a line at its own level; one that has none is a message's further line, or a panic's.
///
/// Control characters are taken out: a part of the message may come from the guest.
pub(super) fn relay(id: &str, line: &LogLine) {
    macro_rules! emit {
        ($level:expr) => {
            tracing::event!(
                target: "smartvm::firecracker",
                $level,
                vm = id,
                thread = line.thread.as_deref(),
                origin = line.origin.as_deref(),
                "{}",
                visible(&line.message)
            )
        };
    }
    match line.level {
        Some(Severity::Trace) => emit!(Level::TRACE),
        Some(Severity::Debug) => emit!(Level::DEBUG),
        Some(Severity::Info) => emit!(Level::INFO),
        Some(Severity::Warn) => emit!(Level::WARN),
        Some(Severity::Error) => emit!(Level::ERROR),
        None => emit!(Level::INFO),
    }
}

fn visible(message: &str) -> String {
    message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
