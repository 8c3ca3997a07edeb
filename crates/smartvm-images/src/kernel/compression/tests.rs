use proptest::prelude::*;

use super::*;
use crate::kernel::samples;

const LIMIT: usize = 64 << 20;

/// `lzop -9` of [`LZO_TEXT`]: one packed block, with the checksums that lzop writes by default.
const LZO_FILE: &[u8] = &[
    0x89, 0x4c, 0x5a, 0x4f, 0x00, 0x0d, 0x0a, 0x1a, 0x0a, 0x10, 0x40, 0x20, 0xa0, 0x09, 0x40, 0x03,
    0x09, 0x03, 0x00, 0x00, 0x01, 0x00, 0x00, 0x81, 0xa4, 0x6b, 0x04, 0xa6, 0x8d, 0x00, 0x00, 0x00,
    0x00, 0x02, 0x6c, 0x7a, 0x40, 0x8a, 0x05, 0x19, 0x00, 0x00, 0x00, 0x3b, 0x00, 0x00, 0x00, 0x1d,
    0xa1, 0x69, 0x16, 0x06, 0x25, 0x73, 0x6d, 0x61, 0x72, 0x74, 0x76, 0x6d, 0x20, 0x6c, 0x7a, 0x6f,
    0x20, 0x73, 0x61, 0x6d, 0x70, 0x6c, 0x65, 0x2c, 0x20, 0x20, 0x05, 0x4d, 0x00, 0x0a, 0x11, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00,
];
const LZO_TEXT: &[u8] = b"smartvm lzo sample, smartvm lzo sample, smartvm lzo sample\n";

type Packer = fn(&[u8]) -> Vec<u8>;
const FORMATS: [(Compression, Packer); 5] = [
    (Compression::Gzip, samples::gzip),
    (Compression::Xz, samples::xz),
    (Compression::Zstd, samples::zstd),
    (Compression::Lz4Legacy, |bytes| samples::lz4_legacy(bytes, 8 << 20)),
    (Compression::Lzop, samples::lzop_stored),
];

fn unpack(packed: &[u8]) -> Result<Vec<u8>, DecompressError> {
    Compression::detect(packed).unwrap().decompress(packed, LIMIT)
}

#[test]
fn a_file_made_by_lzop_is_unpacked() {
    assert_eq!(unpack(LZO_FILE).unwrap(), LZO_TEXT);
}

#[test]
fn a_changed_byte_in_an_lzop_block_is_noticed() {
    for at in LZO_FILE.len() - 30..LZO_FILE.len() - 4 {
        let mut damaged = LZO_FILE.to_vec();
        damaged[at] ^= 0x11;
        assert!(unpack(&damaged).is_err(), "byte {at}");
    }
}

#[test]
fn several_blocks_and_magic_numbers_in_between_are_unpacked() {
    let data: Vec<u8> = (0..100_000_u32).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let packed = samples::lz4_legacy(&data, 4096);
    assert_eq!(unpack(&packed).unwrap(), data);
    let twice = [packed.clone(), packed].concat();
    assert_eq!(unpack(&twice).unwrap(), [data.clone(), data].concat());
    let data = vec![7; 600 << 10];
    assert_eq!(unpack(&samples::lzop_stored(&data)).unwrap(), data);
}

#[test]
fn every_truncation_is_an_error() {
    let data: Vec<u8> = (0..300_u32).map(|at| u8::try_from(at * at % 256).unwrap()).collect();
    for (format, pack) in FORMATS {
        let packed = pack(&data);
        assert_eq!(Compression::detect(&packed), Some(format));
        for length in 10..packed.len() {
            let unpacked = format.decompress(&packed[..length], LIMIT);
            let error = unpacked.expect_err(&format!("{format:?} cut at {length}"));
            assert!(matches!(error, DecompressError::Damaged { .. }), "{error}");
        }
    }
}

#[test]
fn more_than_the_limit_is_refused_in_every_format() {
    let data = vec![0; 10_001];
    for (format, pack) in FORMATS {
        let packed = pack(&data);
        assert_eq!(format.decompress(&packed, 10_001).unwrap(), data);
        let error = format.decompress(&packed, 10_000).unwrap_err();
        match format {
            // A block that is larger than all that may come is damage to LZ4's decoder.
            Compression::Lz4Legacy => {}
            _ => assert!(matches!(error, DecompressError::TooLarge { .. }), "{format:?}: {error}"),
        }
    }
}

#[test]
fn bzip2_and_lzma_are_refused_by_name() {
    for (bytes, name) in [(&b"BZh91AY&SY"[..], "bzip2"), (b"\x5d\0\0\x80\0\xff", "lzma")] {
        let error = unpack(bytes).unwrap_err();
        assert_eq!(error.to_string(), format!("{name} compression is not supported"));
    }
}

proptest! {
    #[test]
    fn what_was_packed_is_unpacked(data in proptest::collection::vec(any::<u8>(), 0..3000)) {
        for (format, pack) in FORMATS {
            let packed = pack(&data);
            prop_assert_eq!(Compression::detect(&packed), Some(format));
            prop_assert_eq!(format.decompress(&packed, LIMIT).unwrap(), data.clone());
        }
    }

    #[test]
    fn damage_is_an_error_or_other_data_and_never_a_panic(
        data in proptest::collection::vec(any::<u8>(), 1..300),
        at: prop::sample::Index,
        flip in 1_u8..,
    ) {
        for (format, pack) in FORMATS {
            let mut packed = pack(&data);
            let at = at.index(packed.len());
            packed[at] ^= flip;
            if let Ok(unpacked) = format.decompress(&packed, 1 << 20) {
                prop_assert!(unpacked.len() <= 1 << 20);
            }
        }
    }
}
