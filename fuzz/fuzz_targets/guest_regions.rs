//! Any bytes as Firecracker's description of the guest's memory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smartvm::snapshot::GuestRegions;

fuzz_target!(|bytes: &[u8]| {
    const MEMORY: u64 = 1 << 30;
    if let Ok(regions) = GuestRegions::parse(bytes, MEMORY) {
        for region in regions.as_slice() {
            assert!(region.offset + region.size <= MEMORY);
            assert!(region.start.checked_add(region.size).is_some());
        }
    }
});
