//! Any bytes as a kernel image: parsed, and unpacked where that is asked for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smartvm_images::{KernelImage, open_kernel_containers};

fuzz_target!(|bytes: &[u8]| {
    let _ = open_kernel_containers(bytes.to_vec());
    if let Ok(image) = KernelImage::parse(bytes) {
        let _ = image.version();
        let _ = image.vmlinux();
    }
});
