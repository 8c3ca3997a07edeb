//! The superblock of an image that is to be resized.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smartvm_images::Ext4Superblock;

fuzz_target!(|bytes: &[u8]| {
    parse(bytes);
    // A fuzzer does not find by itself where a superblock begins, nor its magic number.
    let mut image = vec![0; Ext4Superblock::NEEDED];
    let length = bytes.len().min(1024);
    image[1024..1024 + length].copy_from_slice(&bytes[..length]);
    image[1024 + 0x38..1024 + 0x3a].copy_from_slice(&[0x53, 0xef]);
    parse(&image);
});

fn parse(image: &[u8]) {
    if let Ok(superblock) = Ext4Superblock::parse(image) {
        assert!(superblock.free() <= superblock.size());
    }
}
