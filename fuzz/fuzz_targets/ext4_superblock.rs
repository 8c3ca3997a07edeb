//! The superblock of an image that is to be resized.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smartvm_images::Ext4Superblock;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(superblock) = Ext4Superblock::parse(bytes) {
        assert!(superblock.free() <= superblock.size());
    }
});
