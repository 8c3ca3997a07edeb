//! Bytes cut into lines.

/// Puts lines together from the pieces that a pipe gives.
///
/// A line longer than the limit is dropped whole and counted; what is kept of an unfinished line
/// never exceeds the limit.
#[derive(Debug)]
pub(crate) struct Lines {
    unfinished: Vec<u8>,
    limit: usize,
    /// Whether the rest of a dropped line is still to come.
    dropping: bool,
    dropped: u64,
}

impl Lines {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { unfinished: Vec::new(), limit, dropping: false, dropped: 0 }
    }

    /// How many lines were too long.
    pub(crate) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Takes the next piece and hands out each line that it ends, without its line feed.
    pub(crate) fn feed(&mut self, mut piece: &[u8], mut each: impl FnMut(&[u8])) {
        while let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = (&piece[..end], &piece[end + 1..]);
            piece = rest;
            if std::mem::take(&mut self.dropping) {
                continue;
            }
            if self.unfinished.len() + line.len() > self.limit {
                self.dropped += 1;
            } else if self.unfinished.is_empty() {
                each(line);
            } else {
                self.unfinished.extend_from_slice(line);
                each(&self.unfinished);
            }
            self.forget();
        }
        if self.dropping {
            return;
        }
        if self.unfinished.len() + piece.len() > self.limit {
            self.dropped += 1;
            self.dropping = true;
            self.forget();
        } else {
            self.unfinished.extend_from_slice(piece);
        }
    }

    /// Hands out the line that was never ended, if there is one.
    pub(crate) fn finish(&mut self, each: impl FnOnce(&[u8])) {
        if !self.unfinished.is_empty() {
            each(&self.unfinished);
            self.forget();
        }
    }

    /// Keeps a buffer of the size of ordinary lines only.
    fn forget(&mut self) {
        self.unfinished.clear();
        self.unfinished.shrink_to(4096);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(limit: usize, pieces: &[&[u8]]) -> (Vec<String>, u64) {
        let mut lines = Lines::new(limit);
        let mut seen = Vec::new();
        for piece in pieces {
            lines.feed(piece, |line| seen.push(String::from_utf8_lossy(line).into_owned()));
        }
        lines.finish(|line| seen.push(String::from_utf8_lossy(line).into_owned()));
        (seen, lines.dropped())
    }

    #[test]
    fn a_line_in_pieces_is_one_line() {
        let (lines, dropped) = cut(10, &[b"o", b"ne\ntw", b"", b"o\n\nrest"]);
        assert_eq!((lines, dropped), (["one", "two", "", "rest"].map(String::from).to_vec(), 0));
    }

    #[test]
    fn a_line_that_is_too_long_is_dropped_whole_and_the_next_is_read() {
        let (lines, dropped) = cut(4, &[b"12345", b"678", b"9\nfour\n12345\nx\n"]);
        assert_eq!((lines, dropped), (["four", "x"].map(String::from).to_vec(), 2));
    }

    proptest! {
        #[test]
        fn how_the_bytes_are_cut_into_pieces_does_not_matter(
            pieces in proptest::collection::vec("[ab\n]{0,12}", 0..12),
            limit in 0_usize..10,
        ) {
            let mut lines = Lines::new(limit);
            let mut seen = Vec::new();
            for piece in &pieces {
                lines.feed(piece.as_bytes(), |line| seen.push(line.to_vec()));
                prop_assert!(lines.unfinished.len() <= limit);
            }
            let whole = pieces.concat();
            let (ended, _rest) = whole.rsplit_once('\n').unwrap_or_default();
            let all: Vec<_> =
                if whole.contains('\n') { ended.split('\n').collect() } else { Vec::new() };
            let kept: Vec<_> =
                all.iter().filter(|l| l.len() <= limit).map(|l| l.as_bytes().to_vec()).collect();
            prop_assert_eq!(&seen, &kept);
            prop_assert!(lines.dropped() >= (all.len() - kept.len()) as u64);
        }
    }
}
