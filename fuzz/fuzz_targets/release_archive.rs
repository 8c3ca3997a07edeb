//! Any bytes as the archive of a release, compressed or not. The first byte says which.
#![no_main]

use std::cell::Cell;
use std::io::{self, Write};

use libfuzzer_sys::fuzz_target;
use smartvm_images::base_image::Arch;
use smartvm_images::{Program, ReleaseArchive, ReleaseVersion};

const LIMIT: u64 = 256 << 20;

struct Counted<'a>(&'a Cell<u64>);

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.set(self.0.get() + bytes.len() as u64);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let version = ReleaseVersion::new(1, 12, 1);
    let archive = ReleaseArchive { version, arch: Arch::X86_64 };
    let (written, opened) = (Cell::new(0), Cell::new(0));
    let open = |_: Program| {
        opened.set(opened.get() + 1);
        Ok(Counted(&written))
    };
    let unpacked = match first % 2 {
        0 => archive.unpack(bytes, open),
        _ => archive.unpack_gzip(bytes, open),
    };
    assert!(opened.get() <= 2 && written.get() <= 2 * LIMIT);
    assert!(unpacked.is_err() || opened.get() == 2);
});
