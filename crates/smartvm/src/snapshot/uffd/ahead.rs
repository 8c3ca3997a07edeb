//! How many pages to fill at once.

/// The most that is filled beyond what was asked for, in bytes: as much as a huge page holds.
const LIMIT: u64 = 2 << 20;

/// Notices a guest that goes through its memory in order, or a Firecracker that saves it: each fault
/// costs as much as the copying of many pages. As the kernel does when it reads files ahead, twice as
/// many pages are filled each time the next one in order is asked for, and one when another is.
#[derive(Debug, Default)]
pub(super) struct ReadAhead {
    /// The address after everything that was filled last.
    next: u64,
    pages: u64,
}

impl ReadAhead {
    /// How many pages to fill from `start` on, where one of `page_size` bytes is asked for.
    pub(super) fn pages(&mut self, start: u64, page_size: u64) -> u64 {
        let in_order = start == self.next;
        self.pages = if in_order { self.pages * 2 } else { 1 };
        self.pages = self.pages.clamp(1, (LIMIT / page_size).max(1));
        self.pages
    }

    /// Everything up to `end` is there now.
    pub(super) fn filled_up_to(&mut self, end: u64) {
        self.next = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many faults it takes to go through `pages` pages of this size in order.
    fn faults(pages: u64, page_size: u64) -> usize {
        let (mut ahead, mut page, mut faults) = (ReadAhead::default(), 1, 0);
        while page < pages {
            page += ahead.pages(page * page_size, page_size);
            ahead.filled_up_to(page * page_size);
            faults += 1;
        }
        faults
    }

    #[test]
    fn memory_touched_in_order_is_filled_in_few_steps() {
        assert_eq!(faults(2, 4096), 1);
        assert_eq!(faults(24_576, 4096), 10 + 24_576 / 512 - 2);
        assert_eq!(faults(48, 2 << 20), 47);
    }

    #[test]
    fn memory_touched_out_of_order_is_filled_page_by_page() {
        let mut ahead = ReadAhead::default();
        for start in [9, 7, 5, 3, 1].map(|page| page * 4096) {
            assert_eq!(ahead.pages(start, 4096), 1);
            ahead.filled_up_to(start + 4096);
        }
    }
}
