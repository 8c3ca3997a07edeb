//! The end of a log, in bounded memory.

use std::collections::VecDeque;

use super::LogLine;

/// The last lines of a log, as many as weigh no more than a limit.
#[derive(Debug)]
pub(super) struct KeptLines {
    lines: VecDeque<LogLine>,
    weight: usize,
    limit: usize,
    /// Lines that were forgotten, or never kept as they were too long.
    lost: u64,
}

impl KeptLines {
    pub(super) const fn new(limit: usize) -> Self {
        Self { lines: VecDeque::new(), weight: 0, limit, lost: 0 }
    }

    pub(super) fn push(&mut self, line: LogLine) {
        self.weight += line.weight();
        self.lines.push_back(line);
        while self.weight > self.limit
            && let Some(oldest) = self.lines.pop_front()
        {
            self.weight -= oldest.weight();
            self.lost += 1;
        }
    }

    /// Notes lines that were never seen whole.
    pub(super) const fn miss(&mut self, lines: u64) {
        self.lost += lines;
    }

    pub(super) fn lines(&self) -> Vec<LogLine> {
        self.lines.iter().cloned().collect()
    }

    pub(super) const fn lost(&self) -> u64 {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_are_kept_within_the_limit() {
        let mut kept = KeptLines::new(2000);
        for number in 0..100 {
            kept.push(LogLine { message: format!("line {number}"), ..LogLine::default() });
            assert!(kept.weight <= 2000);
        }
        let lines = kept.lines();
        assert_eq!(lines.last().unwrap().message, "line 99");
        assert_eq!(lines.len() as u64 + kept.lost(), 100);
        kept.push(LogLine { message: "x".repeat(3000), ..LogLine::default() });
        assert!(kept.lines().is_empty());
        kept.push(LogLine::default());
        assert_eq!(kept.lines().len(), 1);
    }
}
