//! Filling the pages that a guest waits for.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use fs_err::File;
use rustix::io::Errno;

use super::super::extents::read_exact_at;
use super::event::{Event, MESSAGE};
use super::ioctl;
use super::regions::{GuestRegion, GuestRegions};

/// How many messages one read takes.
const BATCH: usize = 64;

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
    page: Vec<u8>,
}

impl Filler {
    pub(super) fn new(uffd: OwnedFd, regions: GuestRegions, memory: File) -> Self {
        let words = |region: &GuestRegion| region.pages().div_ceil(64);
        let words = regions.as_slice().iter().map(words);
        let removed = words.map(|count| vec![0; usize::try_from(count).unwrap_or(0)]).collect();
        Self { uffd, regions, memory, removed, waiting: Vec::new(), page: Vec::new() }
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
        loop {
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

    fn fill(&mut self, address: u64) -> io::Result<()> {
        let (index, region) = self
            .regions
            .find(address)
            .ok_or_else(|| io::Error::other("a fault outside of the guest's memory"))?;
        let (page, size) = ((address - region.start) / region.page_size, region.page_size);
        let (start, offset) = (region.start + page * size, region.offset + page * size);
        self.page.resize(usize::try_from(size).map_err(io::Error::other)?, 0);
        let removed = self.removed[index]
            .get(usize::try_from(page / 64).unwrap_or(usize::MAX))
            .is_some_and(|word| word & (1 << (page % 64)) != 0);
        if removed {
            self.page.fill(0);
        } else {
            read_exact_at(self.memory.as_fd(), &mut self.page, offset)?;
        }
        let uffd = self.uffd.as_fd();
        let zeros = size == 4096 && self.page.iter().all(|byte| *byte == 0);
        let filled = if zeros {
            // Takes no memory until it is written.
            ioctl::zero(uffd, start, size)
        } else {
            ioctl::copy(uffd, start, &self.page)
        };
        match filled {
            // Another processor of the guest asked for the same page.
            Err(Errno::EXIST) => Ok(ioctl::wake(uffd, start, size)?),
            other => Ok(other?),
        }
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
