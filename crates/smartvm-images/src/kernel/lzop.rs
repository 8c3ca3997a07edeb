//! The `lzop` container, in which the kernel's build packs LZO.
//!
//! A header with optional fields, then blocks of up to 256 KiB: unpacked length, packed length,
//! checksums, bytes; a zero length ends it. All numbers are big-endian. A block that did not shrink
//! is stored as it is.

use std::io;

pub(super) const MAGIC: &[u8] = b"\x89LZO\0\r\n\x1a\n";

/// What the kernel accepts, and `lzop` makes by default.
const MAX_BLOCK: usize = 256 << 10;
/// From this version on there are a level and a longer time of modification.
const LEVEL_SINCE: u16 = 0x0940;

const ADLER32_UNPACKED: u32 = 0x1;
const ADLER32_PACKED: u32 = 0x2;
const EXTRA_FIELD: u32 = 0x40;
const CRC32_UNPACKED: u32 = 0x100;
const CRC32_PACKED: u32 = 0x200;
const FILTER: u32 = 0x800;

/// Unpacks a file; `None` when more than `limit` bytes come out.
pub(super) fn decompress(bytes: &[u8], limit: usize) -> io::Result<Option<Vec<u8>>> {
    let mut input = Input(bytes);
    let flags = read_header(&mut input)?;
    let count = |mask: u32| (flags & mask).count_ones() as usize;
    let mut unpacked = Vec::new();
    let mut block = vec![0; MAX_BLOCK];
    loop {
        let length = input.length()?;
        if length == 0 {
            return Ok(Some(unpacked));
        }
        let packed_length = input.length()?;
        if length > MAX_BLOCK || packed_length == 0 || packed_length > length {
            return Err(damaged("a block has an impossible length"));
        }
        if unpacked.len() + length > limit {
            return Ok(None);
        }
        // Adler-32 comes first of the two when it is there.
        let adler = (flags & ADLER32_UNPACKED != 0).then(|| input.be32()).transpose()?;
        input.take(4 * count(CRC32_UNPACKED))?;
        if packed_length == length {
            let stored = input.take(length)?;
            verify(adler, stored)?;
            unpacked.extend_from_slice(stored);
            continue;
        }
        input.take(4 * count(ADLER32_PACKED | CRC32_PACKED))?;
        let block = &mut block[..length];
        let written = lzo::decompress_into(input.take(packed_length)?, block)
            .map_err(|error| damaged(error.to_string()))?;
        if written != length {
            return Err(damaged("a block is shorter than it says"));
        }
        verify(adler, block)?;
        unpacked.extend_from_slice(block);
    }
}

/// Reads over the header and gives its flags.
fn read_header(input: &mut Input<'_>) -> io::Result<u32> {
    if input.take(MAGIC.len())? != MAGIC {
        return Err(damaged("it has no magic number"));
    }
    let version = input.be16()?;
    input.take(2)?; // library version
    if version >= LEVEL_SINCE {
        input.take(2)?; // version needed to extract
    }
    input.take(1)?; // method
    if version >= LEVEL_SINCE {
        input.take(1)?; // level
    }
    let flags = input.be32()?;
    if flags & FILTER != 0 {
        // The kernel reads over the filter's number and does not apply it; nor does its build.
        return Err(damaged("it uses a filter"));
    }
    input.take(8)?; // mode, time of modification
    if version >= LEVEL_SINCE {
        input.take(4)?;
    }
    let name_length = input.take(1)?[0];
    input.take(usize::from(name_length) + 4)?; // name, checksum of the header
    if flags & EXTRA_FIELD != 0 {
        let length = input.length()?;
        input.take(length)?;
        input.take(4)?;
    }
    Ok(flags)
}

fn verify(expected: Option<u32>, block: &[u8]) -> io::Result<()> {
    match expected {
        Some(expected) if expected != adler32(block) => Err(damaged("a checksum does not match")),
        _ => Ok(()),
    }
}

pub(super) fn adler32(bytes: &[u8]) -> u32 {
    const MODULUS: u32 = 65521;
    let (mut low, mut high) = (1_u32, 0_u32);
    // 5552 is the longest run for which neither sum can overflow.
    for run in bytes.chunks(5552) {
        for byte in run {
            low += u32::from(*byte);
            high += low;
        }
        low %= MODULUS;
        high %= MODULUS;
    }
    high << 16 | low
}

/// What is left of the input.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> io::Result<&'a [u8]> {
        let (taken, rest) =
            self.0.split_at_checked(count).ok_or_else(|| damaged("it ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn be16(&mut self) -> io::Result<u16> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn be32(&mut self) -> io::Result<u32> {
        self.take(4).map(|bytes| u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn length(&mut self) -> io::Result<usize> {
        usize::try_from(self.be32()?).map_err(io::Error::other)
    }
}

fn damaged(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
