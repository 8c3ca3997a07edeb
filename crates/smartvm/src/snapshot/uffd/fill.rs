//! Filling the pages that a guest waits for.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};

use fs_err::File;
use rustix::io::Errno;

use super::super::extents::read_exact_at;
use super::ahead::ReadAhead;
use super::event::{Event, MESSAGE};
use super::ioctl;
use super::regions::{GuestRegion, GuestRegions};

/// How many messages one read takes.
const BATCH: usize = 64;

/// More threads of Firecracker than can wait for a page at once.
const MAX_WAITING: usize = 4096;

/// How many reads are made before what is asked for is filled.
const MAX_BATCHES: usize = 1024;

/// The size of an ordinary page: only such ones can be filled with zeros that take no memory.
const ORDINARY: usize = 4096;

/// Compared with as a whole, which is far quicker than byte by byte in a build that is not optimized.
static ZEROS: [u8; ORDINARY] = [0; ORDINARY];

/// The guest's memory, its content and the guest's needs.
pub(super) struct Filler {
    uffd: OwnedFd,
    regions: GuestRegions,
    /// Read, not mapped: a file that became shorter is an error then, not a signal.
    memory: File,
    /// Per region one bit a page: the guest gave it back, and it reads as zeros now.
    removed: Vec<Vec<u64>>,
    /// Faults that could not be served yet.
    waiting: Vec<u64>,
    ahead: ReadAhead,
    /// At its beginning, what was loaded last.
    content: Vec<u8>,
}

impl Filler {
    pub(super) fn new(uffd: OwnedFd, regions: GuestRegions, memory: File) -> Self {
        let words = |region: &GuestRegion| region.pages().div_ceil(64);
        let words = regions.as_slice().iter().map(words);
        let removed = words.map(|count| vec![0; usize::try_from(count).unwrap_or(0)]).collect();
        Self {
            uffd,
            regions,
            memory,
            removed,
            waiting: Vec::new(),
            ahead: ReadAhead::default(),
            content: Vec::new(),
        }
    }

    pub(super) fn uffd(&self) -> &OwnedFd {
        &self.uffd
    }

    /// Whether a fault waits for the guest to have removed pages first.
    pub(super) fn is_behind(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Reads what the kernel has to say and fills the pages that are asked for. Returns false when
    /// the guest is gone.
    pub(super) fn serve(&mut self) -> io::Result<bool> {
        let mut buffer = [0; BATCH * MESSAGE];
        let mut batches = 0;
        loop {
            if self.waiting.len() > MAX_WAITING {
                return Err(io::Error::other("more faults at once than a guest can have"));
            }
            if batches == MAX_BATCHES {
                // Whoever never pauses must not keep us from being stopped. What is still to be read
                // makes the kernel refuse the pages that it concerns.
                break;
            }
            batches += 1;
            let count =
                match rustix::io::retry_on_intr(|| rustix::io::read(&self.uffd, &mut buffer)) {
                    Ok(0) => return Ok(false),
                    Ok(count) => count,
                    Err(Errno::AGAIN) => break,
                    Err(error) => return Err(error.into()),
                };
            for message in buffer[..count].as_chunks::<MESSAGE>().0 {
                match Event::read(message) {
                    Event::Fault { address } => self.waiting.push(address),
                    Event::Remove { start, end } => self.remove(start, end),
                    Event::Other { kind } => {
                        let what = format!("the guest's memory was moved (event {kind:#x})");
                        return Err(io::Error::other(what));
                    }
                }
            }
        }
        // Only now, with every removal known: a page must not come back with what it held before.
        for address in std::mem::take(&mut self.waiting) {
            match self.fill(address) {
                Ok(()) => {}
                // A removal is under way, and its message must be read first.
                Err(error) if error.raw_os_error() == Some(Errno::AGAIN.raw_os_error()) => {
                    self.waiting.push(address);
                }
                // The process is going, its memory went first.
                Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => {
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Fills the page that is asked for, and those after it when they will be asked for next.
    fn fill(&mut self, address: u64) -> io::Result<()> {
        let (index, region) = self
            .regions
            .find(address)
            .map(|(index, region)| (index, *region))
            .ok_or_else(|| io::Error::other("a fault outside of the guest's memory"))?;
        let page = (address - region.start) / region.page_size;
        let start = region.start + page * region.page_size;
        self.load(index, &region, page, 1)?;
        match self.put(&region, start, 0..1) {
            // Another processor of the guest asked for the same page.
            Err(Errno::EXIST) => ioctl::wake(self.uffd.as_fd(), start, region.page_size)?,
            other => other?,
        }
        let wanted = self.ahead.pages(start, region.page_size).min(region.pages() - page);
        let filled = 1 + self.fill_ahead(index, &region, page + 1, wanted - 1);
        self.ahead.filled_up_to(start + filled * region.page_size);
        Ok(())
    }

    /// Fills up to `count` pages from `first` on that nobody waits for, and returns how many. Whatever
    /// is in the way ends it: the guest has the page already, or is giving pages back, or is gone; a
    /// page that cannot be read is an error when it is asked for.
    fn fill_ahead(&mut self, index: usize, region: &GuestRegion, first: u64, count: u64) -> u64 {
        let removed = |page: &u64| self.is_removed(index, *page);
        let count = (first..first + count).take_while(|page| !removed(page)).count();
        let mut done = 0;
        if count == 0 || self.load(index, region, first, count).is_err() {
            return done;
        }
        let (mut from, mut filled) = (0, Ok(()));
        while from < count && filled.is_ok() {
            let zeros = self.is_zeros(region, from);
            let until = (from + 1..count).find(|page| self.is_zeros(region, *page) != zeros);
            let until = until.unwrap_or(count);
            filled =
                self.put(region, region.start + (first + done) * region.page_size, from..until);
            if filled.is_ok() {
                done += (until - from) as u64;
            }
            from = until;
        }
        done
    }

    /// Reads what `count` pages hold, none of which was given back unless it is a single one.
    fn load(
        &mut self,
        index: usize,
        region: &GuestRegion,
        page: u64,
        count: usize,
    ) -> io::Result<()> {
        let size = usize::try_from(region.page_size).map_err(io::Error::other)?;
        // It only grows: to clear what is about to be read takes longer than reading it.
        if self.content.len() < size * count {
            self.content.resize(size * count, 0);
        }
        let removed = self.is_removed(index, page);
        let content = &mut self.content[..size * count];
        if removed {
            content.fill(0);
            return Ok(());
        }
        let offset = region.offset + page * region.page_size;
        read_exact_at(self.memory.as_fd(), content, offset)
    }

    /// Puts pages that were loaded, all zeros or none, at `address`.
    fn put(&self, region: &GuestRegion, address: u64, pages: Range<usize>) -> Result<(), Errno> {
        let size = usize::try_from(region.page_size).expect("a page of that size was loaded");
        let content = &self.content[pages.start * size..pages.end * size];
        if self.is_zeros(region, pages.start) {
            // Takes no memory until it is written.
            ioctl::zero(self.uffd.as_fd(), address, content.len() as u64)
        } else {
            ioctl::copy(self.uffd.as_fd(), address, content)
        }
    }

    /// Whether a page that was loaded can be one that takes no memory.
    fn is_zeros(&self, region: &GuestRegion, page: usize) -> bool {
        region.page_size == ORDINARY as u64
            && self.content[page * ORDINARY..(page + 1) * ORDINARY] == ZEROS
    }

    fn is_removed(&self, index: usize, page: u64) -> bool {
        self.removed[index]
            .get(usize::try_from(page / 64).unwrap_or(usize::MAX))
            .is_some_and(|word| word & (1 << (page % 64)) != 0)
    }

    fn remove(&mut self, start: u64, end: u64) {
        for (region, removed) in self.regions.as_slice().iter().zip(&mut self.removed) {
            let last = region.start + region.size;
            let (from, to) = (start.max(region.start), end.min(last));
            let mut address = from;
            while address < to {
                let page = (address - region.start) / region.page_size;
                if let Some(word) = usize::try_from(page / 64).ok().and_then(|i| removed.get_mut(i))
                {
                    *word |= 1 << (page % 64);
                }
                address = region.start + (page + 1) * region.page_size;
            }
        }
    }
}
