use std::io::{Seek, SeekFrom as From, Write};
use std::os::unix::fs::MetadataExt;

use super::*;

/// A file with data at the given places and holes elsewhere.
fn sparse_file(size: u64, data: &[(u64, &[u8])]) -> fs_err::File {
    let mut file = new_file();
    file.set_len(size).unwrap();
    for (at, bytes) in data {
        file.seek(From::Start(*at)).unwrap();
        file.write_all(bytes).unwrap();
    }
    file
}

fn new_file() -> fs_err::File {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs_err::OpenOptions::new().read(true).write(true).create_new(true).open(path).unwrap()
}

fn contents(file: &fs_err::File) -> Vec<u8> {
    let size = file.metadata().unwrap().len();
    let mut bytes = vec![0; usize::try_from(size).unwrap()];
    std::os::unix::fs::FileExt::read_exact_at(file.file(), &mut bytes, 0).unwrap();
    bytes
}

#[test]
fn data_and_size_are_copied_and_holes_stay_holes() {
    const MIB: u64 = 1 << 20;
    let source = sparse_file(64 * MIB + 1, &[(3, b"begin"), (32 * MIB + 5, b"middle")]);
    let target = new_file();
    let copied = sparse_copy(source.as_fd(), target.as_fd(), 64 * MIB + 1).unwrap();
    assert!((11..MIB).contains(&copied), "{copied} bytes were copied");
    assert!(contents(&source) == contents(&target));
    assert!(target.metadata().unwrap().blocks() * 512 < MIB);
}

#[test]
fn empty_files_and_files_of_one_hole_are_copied() {
    for size in [0, 1 << 20] {
        let (source, target) = (sparse_file(size, &[]), new_file());
        assert_eq!(sparse_copy(source.as_fd(), target.as_fd(), size).unwrap(), 0);
        assert_eq!(target.metadata().unwrap().len(), size);
    }
}

#[test]
fn the_copy_through_a_buffer_gives_the_same() {
    let data: Vec<u8> = (0..3_000_000_u32).map(|at| u8::try_from(at % 253).unwrap()).collect();
    let (source, target) = (sparse_file(0, &[(0, &data)]), new_file());
    let mut copier = Copier {
        source: source.as_fd(),
        target: target.as_fd(),
        in_kernel: false,
        buffer: Vec::new(),
    };
    copier.copy(0, data.len() as u64).unwrap();
    assert!(contents(&target) == data);
}

#[test]
fn a_source_that_became_shorter_is_an_error() {
    let (source, target) = (sparse_file(0, &[(0, b"short")]), new_file());
    let mut copier = Copier {
        source: source.as_fd(),
        target: target.as_fd(),
        in_kernel: true,
        buffer: Vec::new(),
    };
    let error = copier.copy(0, 100).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}
