//! LZ4's legacy frame, the one that the kernel's build makes with `lz4 -l`.
//!
//! A magic number, then blocks: a 32-bit length and that many bytes of one raw LZ4 block of at most
//! 8 MiB unpacked. There is no end mark and no checksum; further magic numbers may come between.

use std::io;

use super::fields::le32;

pub(super) const MAGIC: &[u8] = &0x184c_2102_u32.to_le_bytes();

const MAX_BLOCK: usize = 8 << 20;

/// Unpacks a whole frame, which must be all of `bytes`; `None` when more than `limit` comes out.
pub(super) fn decompress(bytes: &[u8], limit: usize) -> io::Result<Option<Vec<u8>>> {
    let mut rest = bytes.strip_prefix(MAGIC).ok_or_else(|| damaged("it has no magic number"))?;
    let mut unpacked = Vec::new();
    let mut block = vec![0; MAX_BLOCK.min(limit.saturating_add(1))];
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(MAGIC) {
            rest = after;
            continue;
        }
        let length = le32(rest, 0).ok_or_else(|| damaged("it ends in a block's length"))?;
        let length = usize::try_from(length).map_err(io::Error::other)?;
        rest = &rest[4..];
        let packed = rest.get(..length).ok_or_else(|| damaged("it ends in a block"))?;
        rest = &rest[length..];
        let written = lz4_flex::block::decompress_into(packed, &mut block).map_err(damaged)?;
        unpacked.extend_from_slice(&block[..written]);
        if unpacked.len() > limit {
            return Ok(None);
        }
    }
    Ok(Some(unpacked))
}

fn damaged(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
