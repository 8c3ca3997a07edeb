use proptest::prelude::*;

use super::*;
use crate::kernel::samples;

fn bzimage() -> Vec<u8> {
    samples::bzimage("6.1.0-1-test", b"packed kernel")
}

fn zboot_of(payload: &[u8]) -> Vec<u8> {
    let mut bytes = b"MZ\0\0zimg".to_vec();
    bytes.extend(512_u32.to_le_bytes());
    bytes.extend(u32::try_from(payload.len()).unwrap().to_le_bytes());
    bytes.extend([0; 8]);
    bytes.extend(b"lzma\0");
    bytes.resize(512, 0);
    bytes.extend(payload);
    bytes
}

/// A PE file with these sections.
fn pe(sections: &[(&[u8; 8], &[u8])]) -> Vec<u8> {
    let mut bytes = b"MZ".to_vec();
    bytes.resize(PE_HEADER_AT, 0);
    bytes.extend(0x80_u32.to_le_bytes());
    bytes.resize(0x80, 0);
    bytes.extend(b"PE\0\0\x64\x86");
    bytes.extend(u16::try_from(sections.len()).unwrap().to_le_bytes());
    bytes.extend([0; 12]);
    bytes.extend([16, 0, 0, 0]);
    bytes.extend([0; 16]);
    let mut start = 0x1000;
    for (name, content) in sections {
        bytes.extend(*name);
        let length = u32::try_from(content.len()).unwrap();
        // In memory, where there, in the file, where there; the file's is padded.
        for field in [length, start, length + 100, start] {
            bytes.extend(field.to_le_bytes());
        }
        bytes.extend([0; 16]);
        start += length + 100;
    }
    for (_, content) in sections {
        bytes.resize(bytes.len().max(0x1000), 0);
        bytes.extend(*content);
        bytes.extend([0; 100]);
    }
    bytes
}

#[test]
fn what_is_no_container_stays_as_it_is() {
    for bytes in [bzimage(), samples::vmlinux("6.1.0"), b"text".to_vec(), b"MZ".to_vec(), vec![]] {
        assert_eq!(open_kernel_containers(bytes.clone()).unwrap(), bytes);
    }
}

#[test]
fn a_compressed_image_a_zboot_image_and_a_unified_one_give_the_kernel_inside() {
    let kernel = bzimage();
    let unified = pe(&[(b".osrel\0\0", b"ID=debian"), (b".linux\0\0", &kernel)]);
    for container in [
        samples::gzip(&kernel),
        samples::xz(&kernel),
        samples::zstd(&kernel),
        zboot_of(&samples::gzip(&kernel)),
        unified.clone(),
        samples::gzip(&unified),
    ] {
        assert_eq!(open_kernel_containers(container).unwrap(), kernel);
    }
}

#[test]
fn containers_that_are_cut_or_unknown_are_named() {
    let mut pointing_nowhere = zboot_of(b"");
    pointing_nowhere[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    let cut = {
        let mut bytes = pe(&[(b".linux\0\0", &bzimage())]);
        bytes.truncate(0x1010);
        bytes
    };
    for (bytes, code, words) in [
        (zboot_of(b""), "INVALID_KERNEL_IMAGE", "zboot"),
        (pointing_nowhere, "INVALID_KERNEL_IMAGE", "zboot"),
        (zboot_of(b"\x5d\0\0\0"), "KERNEL_COMPRESSION_UNSUPPORTED", "zboot"),
        (zboot_of(b"what"), "KERNEL_COMPRESSION_UNSUPPORTED", "lzma"),
        (cut, "INVALID_KERNEL_IMAGE", "unified"),
        (b"\x1f\x8b\x08cut".to_vec(), "INVALID_KERNEL_IMAGE", "the file"),
    ] {
        let error = open_kernel_containers(bytes).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(words) && error.hint().is_some(), "{error}");
    }
}

#[test]
fn a_container_in_itself_ends() {
    let mut bytes = b"kernel".to_vec();
    for _ in 0..10 {
        bytes = samples::gzip(&bytes);
    }
    assert!(open_kernel_containers(bytes).unwrap().starts_with(b"\x1f\x8b"));
}

proptest! {
    #[test]
    fn any_header_of_a_pe_file_is_read_without_panicking(
        header in proptest::collection::vec(any::<u8>(), 0..512),
    ) {
        let mut bytes = b"MZ".to_vec();
        bytes.extend(header);
        let _ = open_kernel_containers(bytes);
    }

    #[test]
    fn any_section_table_is_read_without_panicking(
        fields in proptest::collection::vec(any::<u8>(), 80),
    ) {
        let mut bytes = pe(&[(b".linux\0\0", b"a"), (b".initrd\0", b"b")]);
        let table = 0x80 + COFF_HEADER + 16;
        bytes[table + 8..table + 40].copy_from_slice(&fields[..32]);
        bytes[0x86..0x88].copy_from_slice(&fields[32..34]);
        bytes[0x94..0x96].copy_from_slice(&fields[34..36]);
        let _ = open_kernel_containers(bytes);
    }
}
