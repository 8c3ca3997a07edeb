//! Kernels, images and modules made up for tests.

use std::io::{Read, Write};
use std::path::Path;

/// A minimal ELF kernel: one segment, with the banner of `version` in it.
pub(crate) fn vmlinux(version: &str) -> Vec<u8> {
    let mut text = format!("Linux version {version} (builder) #1\0").into_bytes();
    text.resize(8192, 0x90);
    elf(&text)
}

/// A minimal module, built for `version`.
pub(super) fn module(version: &str) -> Vec<u8> {
    elf(format!("\0license=GPL\0vermagic={version} SMP mod_unload \0").as_bytes())
}

fn elf(contents: &[u8]) -> Vec<u8> {
    const CONTENTS_AT: u64 = 0x1000;
    const ADDRESS: u64 = 0x10_0000;
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    bytes.extend([2, 0, 62, 0, 1, 0, 0, 0]); // type, machine, version
    bytes.extend((ADDRESS + 8).to_le_bytes()); // entry
    bytes.extend(64_u64.to_le_bytes()); // program headers
    bytes.extend([0; 12]); // section headers, flags
    for field in [64_u16, 56, 1, 64, 0, 0] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend([1, 0, 0, 0, 5, 0, 0, 0]); // a segment to load
    let size = contents.len() as u64;
    for field in [CONTENTS_AT, ADDRESS, ADDRESS, size, size, 0x1000] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.resize(0x1000, 0);
    bytes.extend_from_slice(contents);
    bytes
}

/// A bzImage with this payload, as it stands.
pub(crate) fn bzimage(version: &str, payload: &[u8]) -> Vec<u8> {
    const SETUP_SECTS: u8 = 2;
    const PAYLOAD_OFFSET: u32 = 16;
    let mut bytes = vec![0; 3 * 512];
    bytes[0x1f1] = SETUP_SECTS;
    bytes[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    bytes[0x202..0x206].copy_from_slice(b"HdrS");
    bytes[0x206..0x208].copy_from_slice(&0x020f_u16.to_le_bytes());
    bytes[0x20e..0x210].copy_from_slice(&0x100_u16.to_le_bytes());
    bytes[0x248..0x24c].copy_from_slice(&PAYLOAD_OFFSET.to_le_bytes());
    let length = u32::try_from(payload.len()).unwrap();
    bytes[0x24c..0x250].copy_from_slice(&length.to_le_bytes());
    let text = format!("{version} (builder@host) #1 SMP\0");
    bytes[0x300..0x300 + text.len()].copy_from_slice(text.as_bytes());
    bytes.extend([0; PAYLOAD_OFFSET as usize]);
    bytes.extend_from_slice(payload);
    bytes.extend([0; 100]);
    bytes
}

/// The payload as the kernel's build leaves it: with the unpacked length behind.
pub(crate) fn with_length(packed: Vec<u8>, unpacked: &[u8]) -> Vec<u8> {
    let length = u32::try_from(unpacked.len()).unwrap();
    [packed, length.to_le_bytes().to_vec()].concat()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// As the kernel's build does it: CRC-32 and one block.
pub(super) fn xz(bytes: &[u8]) -> Vec<u8> {
    let stream = liblzma::stream::Stream::new_easy_encoder(1, liblzma::stream::Check::Crc32);
    let mut packed = Vec::new();
    liblzma::read::XzEncoder::new_stream(bytes, stream.unwrap()).read_to_end(&mut packed).unwrap();
    packed
}

pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    // `bulk` writes no checksum, like the kernel's build.
    zstd::bulk::compress(bytes, 1).unwrap()
}

pub(super) fn lz4_legacy(bytes: &[u8], block: usize) -> Vec<u8> {
    let mut packed = super::lz4_legacy::MAGIC.to_vec();
    for chunk in bytes.chunks(block) {
        let chunk = lz4_flex::block::compress(chunk);
        packed.extend(u32::try_from(chunk.len()).unwrap().to_le_bytes());
        packed.extend(chunk);
    }
    packed
}

/// An lzop file of stored blocks: no encoder for LZO is at hand.
pub(super) fn lzop_stored(bytes: &[u8]) -> Vec<u8> {
    let mut packed = super::lzop::MAGIC.to_vec();
    packed.extend([0x10, 0x30, 0x20, 0xa0, 0x09, 0x40, 3, 9]); // versions, method, level
    packed.extend([0x03, 0, 0, 0x0d]); // flags: Unix, input and output are pipes, Adler-32
    packed.extend([0; 12]); // mode, time
    packed.extend([4, b'n', b'a', b'm', b'e', 0, 0, 0, 0]); // name, checksum
    for chunk in bytes.chunks(256 << 10) {
        let length = u32::try_from(chunk.len()).unwrap().to_be_bytes();
        packed.extend([length, length].concat());
        packed.extend(super::lzop::adler32(chunk).to_be_bytes());
        packed.extend(chunk);
    }
    packed.extend([0; 4]);
    packed
}

/// A directory with the index and files of a few modules for `version`.
pub(super) fn write_modules(dir: &Path, version: &str) {
    let dep = "kernel/virtio.ko:\n\
               kernel/virtio_mmio.ko: kernel/virtio.ko\n\
               kernel/block/virtio_blk.ko.xz: kernel/virtio.ko\n\
               kernel/fs/squashfs.ko:\n";
    fs_err::create_dir_all(dir.join("kernel/block")).unwrap();
    fs_err::create_dir_all(dir.join("kernel/fs")).unwrap();
    fs_err::write(dir.join("modules.dep"), dep).unwrap();
    fs_err::write(dir.join("modules.builtin"), "kernel/fs/ext4/ext4.ko\n").unwrap();
    for file in ["kernel/virtio.ko", "kernel/virtio_mmio.ko", "kernel/fs/squashfs.ko"] {
        fs_err::write(dir.join(file), module(version)).unwrap();
    }
    fs_err::write(dir.join("kernel/block/virtio_blk.ko.xz"), xz(&module(version))).unwrap();
}
