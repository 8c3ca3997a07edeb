use proptest::prelude::*;

use super::*;
use crate::kernel::samples;

const VERSION: &str = "6.1.0-1-test";

#[test]
fn the_payload_and_the_version_of_a_bzimage_are_found() {
    let bytes = samples::bzimage(VERSION, b"packed kernel");
    let image = KernelImage::parse(&bytes).unwrap();
    let KernelImage::BzImage { payload, .. } = image else { panic!("{image:?}") };
    assert_eq!(payload, b"packed kernel");
    assert_eq!(image.version().unwrap().as_str(), VERSION);
}

#[test]
fn zero_setup_sectors_mean_four() {
    let mut bytes = samples::bzimage(VERSION, b"packed");
    bytes[0x1f1] = 0;
    bytes.resize(5 * 512 + 16, 0);
    bytes.extend_from_slice(b"packed");
    let KernelImage::BzImage { payload, .. } = KernelImage::parse(&bytes).unwrap() else {
        panic!()
    };
    assert_eq!(payload, b"packed");
}

#[test]
fn what_people_pass_by_mistake_is_named() {
    let mut arm = vec![0; 64];
    arm[0x38..0x3c].copy_from_slice(b"ARM\x64");
    for (bytes, what) in [
        (&b""[..], "an empty file"),
        (b"#!/bin/sh\necho hello\n", "text"),
        (b"070701000000", "an initramfs"),
        (b"\x1f\x8b\x08\x00", "a compressed file in compressed files"),
        (b"!<arch>\ndebian-binary", "a Debian package"),
        (b"MZ\0\0", "a program for EFI or Windows without a Linux kernel in it"),
        (&arm, "an arm64 kernel image"),
        (&[0xff; 600], "data without a boot header"),
    ] {
        let error = KernelImage::parse(bytes).unwrap_err();
        assert_eq!(error, ParseImageError::NotAKernel { what }, "{bytes:?}");
        assert_eq!(error.code(), "INVALID_KERNEL_IMAGE");
        assert!(error.hint().is_some());
    }
}

#[test]
fn an_image_without_a_payload_field_is_too_old() {
    let mut bytes = samples::bzimage(VERSION, b"packed");
    bytes[0x206..0x208].copy_from_slice(&0x0207_u16.to_le_bytes());
    let error = KernelImage::parse(&bytes).unwrap_err();
    assert_eq!(error, ParseImageError::TooOld { version: 0x0207 });
    assert!(error.to_string().contains("2.07"), "{error}");
}

#[test]
fn every_truncation_before_the_payloads_end_is_refused() {
    let bytes = samples::bzimage(VERSION, b"packed kernel");
    let end = bytes.len() - 100;
    assert!(KernelImage::parse(&bytes[..end]).is_ok());
    for length in 0..end {
        assert!(KernelImage::parse(&bytes[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn fields_that_point_outside_or_overflow_are_refused() {
    for (offset, length) in [(u32::MAX, 1), (1, u32::MAX), (u32::MAX, u32::MAX), (0, 0)] {
        let mut bytes = samples::bzimage(VERSION, b"packed");
        bytes[0x248..0x24c].copy_from_slice(&offset.to_le_bytes());
        bytes[0x24c..0x250].copy_from_slice(&length.to_le_bytes());
        let error = KernelImage::parse(&bytes).unwrap_err();
        assert!(matches!(error, ParseImageError::Truncated { .. }), "{error}");
    }
}

proptest! {
    #[test]
    fn any_header_is_parsed_and_unpacked_without_panicking(
        header in proptest::collection::vec(any::<u8>(), 0x70),
        version_at: u16,
    ) {
        let mut bytes = samples::bzimage(VERSION, b"\x1f\x8b packed");
        bytes[0x206..0x276].copy_from_slice(&header);
        bytes[0x20e..0x210].copy_from_slice(&version_at.to_le_bytes());
        if let Ok(image) = KernelImage::parse(&bytes) {
            image.version();
            prop_assert!(image.vmlinux().is_err());
        }
    }
}
