use std::io::{self, Read, Write};

use smartvm_images::base_image::Arch;
use smartvm_images::{ReleaseArchive, ReleaseVersion, RootfsArchive};
use smartvm_testkit::memory::{Bound, assert_reading_is_bounded, taken};

const MIB: u64 = 1 << 20;

/// A header, and content as long as it says.
fn entry(path: &str, kind: u8, link: &str, content: &[u8]) -> Vec<u8> {
    let mut block = vec![0; 512];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, path.as_bytes());
    put(100, b"0000644\0");
    put(124, format!("{:011o}\0", content.len()).as_bytes());
    put(148, b"        ");
    put(156, &[kind]);
    put(157, link.as_bytes());
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block.extend_from_slice(content);
    block.resize(block.len().next_multiple_of(512), 0);
    block
}

fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

fn archive(first: Vec<u8>, each: impl Fn(usize) -> Vec<u8>, count: usize) -> Vec<u8> {
    let mut bytes = first;
    (0..count).for_each(|number| bytes.extend(each(number)));
    bytes.extend([0; 1024]);
    bytes
}

fn file(number: usize) -> Vec<u8> {
    entry(&format!("file-{number}"), b'0', "", b"")
}

fn read(bytes: &[u8]) -> RootfsArchive {
    RootfsArchive::examine(bytes).unwrap()
}

#[test]
fn what_an_archive_says_once_of_all_files_is_kept_once() {
    let attributes: Vec<u8> =
        (0..60).flat_map(|n| record(&format!("SCHILY.xattr.user.{n}"), &[b'x'; 1000])).collect();
    let all = entry("g", b'g', "", &attributes);
    assert_reading_is_bounded(
        "attributes of all files",
        500,
        Bound { per_byte: 2, fixed: MIB },
        |count| archive(all.clone(), file, count),
        read,
    );
    let acl = entry("g", b'g', "", &record("SCHILY.acl.access", &[b'x'; 100_000]));
    assert_reading_is_bounded(
        "a list of all files",
        500,
        Bound { per_byte: 2, fixed: MIB },
        |count| archive(acl.clone(), file, count),
        read,
    );
}

#[test]
fn attributes_beyond_what_linux_has_are_refused() {
    let attributes: Vec<u8> =
        (0..70).flat_map(|n| record(&format!("SCHILY.xattr.user.{n}"), &[b'x'; 1000])).collect();
    for kind in [b'g', b'x'] {
        let bytes = archive(entry("p", kind, "", &attributes), file, 2);
        let used = taken(|| {
            let error = RootfsArchive::examine(&bytes[..]).unwrap_err();
            let source = std::error::Error::source(&error).unwrap();
            assert!(source.to_string().contains("more than 65536 bytes"), "{source}");
        });
        assert!(used.peak < MIB, "{used:?}");
    }
    // Each has as much as it may, and all together have too much.
    let attributes: Vec<u8> =
        (0..60).flat_map(|n| record(&format!("SCHILY.xattr.user.{n}"), &[b'x'; 1000])).collect();
    let bytes = archive(entry("g", b'g', "", &attributes), file, 6000);
    let used = taken(|| RootfsArchive::examine(&bytes[..]).unwrap_err());
    assert!(used.peak < 8 * MIB, "{used:?}");
}

#[test]
fn the_files_of_an_archive_take_memory_as_their_headers_do() {
    let bound = Bound { per_byte: 3, fixed: MIB };
    type Part = fn(usize) -> Vec<u8>;
    let each: [(&str, Part); 6] = [
        ("files", file),
        ("directories", |n| entry(&format!("dir-{n}"), b'5', "", b"")),
        ("symbolic links", |n| entry(&format!("link-{n}"), b'2', "to", b"")),
        ("hard links", |n| entry(&format!("name-{n}"), b'1', "file-0", b"")),
        ("one file again and again", |_| file(0)),
        ("own attributes", |n| {
            let records = record("SCHILY.xattr.user.a", &[b'x'; 400]);
            [entry("p", b'x', "", &records), file(n)].concat()
        }),
    ];
    for (what, each) in each {
        assert_reading_is_bounded(what, 2000, bound, |n| archive(file(0), each, n), read);
    }
}

#[test]
fn names_that_an_archive_repeats_do_not_grow_with_each_other() {
    let long = "d/".repeat(1900);
    let below_long = |number: usize| {
        let path = record("path", format!("{long}{number}").as_bytes());
        [entry("p", b'x', "", &path), file(0)].concat()
    };
    assert_reading_is_bounded(
        "many names in a deep directory",
        200,
        Bound { per_byte: 2, fixed: 4 * MIB },
        |count| archive(Vec::new(), below_long, count),
        read,
    );
    let path = entry("g", b'g', "", &record("path", &[b'x'; 200_000]));
    let bytes = archive(path, file, 1000);
    let used = taken(|| RootfsArchive::examine(&bytes[..]).unwrap_err());
    assert!(used.peak < 2 * MIB, "{used:?}");
}

#[test]
fn an_archive_of_directories_within_directories_ends_with_an_error_before_memory_does() {
    struct Endless {
        number: u64,
        bytes: io::Cursor<Vec<u8>>,
    }
    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.bytes.position() == self.bytes.get_ref().len() as u64 {
                self.number += 1;
                let path = format!("{}/{}", self.number, "d/".repeat(1900));
                let path = record("path", path.as_bytes());
                let entries = [entry("p", b'x', "", &path), entry("", b'5', "", b"")];
                self.bytes = io::Cursor::new(entries.concat());
            }
            self.bytes.read(buffer)
        }
    }
    let used = taken(|| {
        let endless = Endless { number: 0, bytes: io::Cursor::default() };
        let error = RootfsArchive::examine(endless).unwrap_err();
        let source = std::error::Error::source(&error).unwrap();
        let cause = source.source().unwrap().to_string();
        assert!(cause.contains("so many files"), "{cause}");
    });
    assert!(used.peak < 1 << 30, "{used:?}");
}

#[test]
fn nothing_of_a_release_is_held_in_memory() {
    let release = ReleaseArchive { version: ReleaseVersion::new(1, 12, 1), arch: Arch::X86_64 };
    let packed = |bytes: &[u8]| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    };
    // Extensions, and files that are no programs, of many MiB.
    for kind in [b'x', b'g', b'L', b'0'] {
        let bytes = packed(&archive(Vec::new(), |_| entry("p", kind, "", &[b'x'; 1 << 20]), 20));
        let used = taken(|| release.unpack_gzip(&bytes[..], |_| Ok(io::sink())).unwrap_err());
        assert!(used.peak < MIB, "{}: {used:?}", char::from(kind));
    }
}
