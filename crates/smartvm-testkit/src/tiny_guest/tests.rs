//! What can be said about a guest without running it.

use super::TinyGuest;
use super::elf::LOAD_ADDRESS;

fn long_at(elf: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(elf[offset..offset + 8].try_into().unwrap())
}

#[test]
fn the_entry_point_is_the_first_byte_of_the_segment() {
    let elf = TinyGuest::halts().to_elf();
    let (entry, segment_offset, segment_address) =
        (long_at(&elf, 24), long_at(&elf, 64 + 8), long_at(&elf, 64 + 24));
    assert_eq!((entry, segment_address), (LOAD_ADDRESS, LOAD_ADDRESS));
    assert_eq!(&elf[usize::try_from(segment_offset).unwrap()..], [0xfa, 0xf4, 0xeb, 0xfd]);
}

#[test]
fn the_segment_ends_where_the_file_ends() {
    let elf = TinyGuest::prints("some text").to_elf();
    assert_eq!(long_at(&elf, 64 + 8) + long_at(&elf, 64 + 32), elf.len() as u64);
}

#[test]
fn printing_nothing_is_no_code_at_all() {
    assert_eq!(TinyGuest::prints("").to_elf(), TinyGuest::halts().to_elf());
}

#[test]
fn a_guest_carries_its_text() {
    let elf = TinyGuest::prints("find me").to_elf();
    assert!(elf.windows(7).any(|window| window == b"find me"));
}

#[test]
fn writing_a_guest_replaces_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kernel");
    TinyGuest::prints(&"long ".repeat(100)).write_to(&path).unwrap();
    TinyGuest::resets().write_to(&path).unwrap();
    assert_eq!(fs_err::read(&path).unwrap(), TinyGuest::resets().to_elf());
}
