use super::*;
use crate::kernel::samples;

const VERSION: &str = "6.1.0-1-test";

fn unpack_image(payload: &[u8]) -> Result<Vec<u8>, UnpackKernelError> {
    let bytes = samples::bzimage(VERSION, payload);
    KernelImage::parse(&bytes).unwrap().vmlinux().map(Cow::into_owned)
}

#[test]
fn a_kernel_comes_out_of_every_supported_compression() {
    let kernel = samples::vmlinux(VERSION);
    let payloads = [
        samples::gzip(&kernel),
        samples::with_length(samples::xz(&kernel), &kernel),
        samples::with_length(samples::zstd(&kernel), &kernel),
        samples::with_length(samples::lz4_legacy(&kernel, 8 << 20), &kernel),
        samples::with_length(samples::lzop_stored(&kernel), &kernel),
        kernel.clone(),
    ];
    for payload in payloads {
        assert_eq!(unpack_image(&payload).unwrap(), kernel, "{:02x?}", &payload[..4]);
    }
}

#[test]
fn an_elf_kernel_is_taken_as_it_is() {
    let kernel = samples::vmlinux(VERSION);
    let image = KernelImage::parse(&kernel).unwrap();
    assert!(matches!(image.vmlinux(), Ok(Cow::Borrowed(bytes)) if bytes == kernel));
}

#[test]
fn a_kernel_that_unpacks_to_another_length_than_the_image_says_is_damaged() {
    let kernel = samples::vmlinux(VERSION);
    let payload = samples::with_length(samples::lz4_legacy(&kernel, 4096), &kernel[1..]);
    let error = unpack_image(&payload).unwrap_err();
    assert_eq!(error.code(), "INVALID_KERNEL_IMAGE");
    assert!(error.to_string().contains("the image says"), "{error}");
}

#[test]
fn a_missing_lz4_block_is_noticed_by_the_length() {
    let kernel = samples::vmlinux(VERSION);
    let short = samples::lz4_legacy(&kernel[..4096], 4096);
    let error = unpack_image(&samples::with_length(short, &kernel)).unwrap_err();
    assert_eq!(error.code(), "INVALID_KERNEL_IMAGE");
}

#[test]
fn unknown_and_unsupported_compressions_have_their_own_code() {
    for payload in [&b"BZh91AY&SY____"[..], b"\x5d\0\0\x80\0____", b"what is this?", b"x"] {
        let error = unpack_image(payload).unwrap_err();
        assert_eq!(error.code(), "KERNEL_COMPRESSION_UNSUPPORTED", "{error}");
        assert!(error.hint().unwrap().contains("extract-vmlinux"));
    }
}

#[test]
fn what_unpacks_to_something_else_than_a_kernel_is_refused() {
    let text = b"no kernel at all".repeat(20);
    assert_eq!(unpack_image(&samples::gzip(&text)).unwrap_err().code(), "INVALID_KERNEL_IMAGE");
    let mut foreign = samples::vmlinux(VERSION);
    foreign[0x12] = 183;
    let error = unpack_image(&samples::gzip(&foreign)).unwrap_err();
    assert_eq!(error.code(), "KERNEL_WRONG_ARCH");
}
