use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use proptest::prelude::*;
use rustix::fs::mknodat;

use super::*;

fn read(path: &Path) -> String {
    fs_err::read_to_string(path).unwrap()
}

#[test]
fn a_file_is_private_and_appended_to() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("console.log");
    fs_err::write(&path, "before\n").unwrap();
    let mut file = BoundedFile::open(&path, 100).unwrap();
    file.append(b"after\n").unwrap();
    assert_eq!(read(&path), "before\nafter\n");
    assert_eq!(fs_err::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_full_file_is_kept_once_and_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("console.log");
    let mut file = BoundedFile::open(&path, 10).unwrap();
    for line in ["one\n", "two\n", "three\n", "four\n", "five5\n", "six\n"] {
        file.append(line.as_bytes()).unwrap();
        let written = file.file.metadata().unwrap().ino();
        assert_eq!(fs_err::metadata(&path).unwrap().ino(), written);
    }
    assert_eq!(read(&path), "five5\nsix\n");
    assert_eq!(read(&dir.path().join("console.log.1")), "four\n");
    assert_eq!(fs_err::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn links_pipes_directories_and_files_of_others_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs_err::write(at("file"), "precious").unwrap();
    symlink(at("file"), at("link")).unwrap();
    symlink(at("nothing"), at("dangling")).unwrap();
    fs_err::hard_link(at("file"), at("hard")).unwrap();
    mknodat(CWD, at("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    fs_err::create_dir(at("dir")).unwrap();
    for name in ["link", "dangling", "hard", "pipe", "dir"] {
        let error = BoundedFile::open(&at(name), 10).unwrap_err();
        assert_eq!(error.code(), "OUTPUT_FILE_UNSAFE", "{name}: {error:?}");
        assert!(error.hint().is_some());
    }
    assert!(!at("nothing").exists());
    assert_eq!(read(&at("file")), "precious");
    let missing = BoundedFile::open(&at("no/such/dir"), 10).unwrap_err();
    assert_eq!(missing.code(), "OUTPUT_FILE_UNUSABLE");
    assert_eq!(BoundedFile::open(Path::new("/"), 10).unwrap_err().code(), "OUTPUT_FILE_UNSAFE");
    assert_eq!(
        BoundedFile::open(Path::new("/dev/full"), 9).unwrap_err().code(),
        "OUTPUT_FILE_UNSAFE"
    );
}

#[test]
fn what_is_planted_where_it_is_begun_anew_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut file = BoundedFile::open(&path, 4).unwrap();
    file.append(b"1234").unwrap();
    // Somebody takes the file away and leaves a link: the link is renamed, not followed.
    fs_err::rename(&path, dir.path().join("taken")).unwrap();
    fs_err::write(dir.path().join("victim"), "precious").unwrap();
    symlink(dir.path().join("victim"), &path).unwrap();
    file.append(b"5678").unwrap();
    assert_eq!(read(&dir.path().join("victim")), "precious");
    assert_eq!(read(&path), "5678");
}

#[test]
fn a_directory_in_the_way_of_the_old_file_costs_the_old_file_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    fs_err::create_dir_all(dir.path().join("log.1/full")).unwrap();
    let mut file = BoundedFile::open(&path, 4).unwrap();
    file.append(b"1234").unwrap();
    file.append(b"56").unwrap();
    assert_eq!(read(&path), "56");
}

proptest! {
    #[test]
    fn no_more_than_twice_the_limit_is_on_the_disk(
        limit in 1_u64..40,
        writes in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..20),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut file = BoundedFile::open(&path, limit).unwrap();
        let mut whole = Vec::new();
        for write in &writes {
            file.append(write).unwrap();
            whole.extend_from_slice(write);
            for entry in fs_err::read_dir(dir.path()).unwrap() {
                prop_assert!(entry.unwrap().metadata().unwrap().len() <= limit);
            }
        }
        prop_assert!(fs_err::read_dir(dir.path()).unwrap().count() <= 2);
        prop_assert!(whole.ends_with(&fs_err::read(&path).unwrap()));
    }
}
