use std::io::Cursor;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

const ARCHIVE: ReleaseArchive =
    ReleaseArchive { version: ReleaseVersion::new(1, 12, 1), arch: Arch::X86_64 };
const FIRECRACKER: &str = "release-v1.12.1-x86_64/firecracker-v1.12.1-x86_64";
const JAILER: &str = "release-v1.12.1-x86_64/jailer-v1.12.1-x86_64";

/// An entry whose name is not looked at by whoever writes the archive.
fn entry(tar: &mut tar::Builder<Vec<u8>>, name: &str, kind: EntryType, content: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.set_mode(0o755);
    header.set_cksum();
    tar.append(&header, content).unwrap();
}

fn release(more: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    entry(&mut tar, "release-v1.12.1-x86_64/", EntryType::Directory, b"");
    entry(&mut tar, "release-v1.12.1-x86_64/LICENSE", EntryType::Regular, b"text");
    entry(&mut tar, FIRECRACKER, EntryType::Regular, b"vmm");
    more(&mut tar);
    entry(&mut tar, JAILER, EntryType::Regular, b"jail");
    tar.into_inner().unwrap()
}

fn unpack(tar: &[u8]) -> Result<[Vec<u8>; 2], ArchiveError> {
    let dir = tempfile::tempdir().unwrap();
    let open = |program: Program| fs_err::File::create(dir.path().join(program.as_str()));
    ARCHIVE.unpack(Cursor::new(tar), open)?;
    let names = fs_err::read_dir(dir.path()).unwrap();
    assert_eq!(names.count(), 2, "nothing else is written");
    Ok(Program::ALL.map(|program| fs_err::read(dir.path().join(program.as_str())).unwrap()))
}

fn refused(more: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> String {
    unpack(&release(more)).unwrap_err().to_string()
}

#[test]
fn the_two_programs_are_taken_and_nothing_else() {
    let [firecracker, jailer] = unpack(&release(|_| ())).unwrap();
    assert_eq!((firecracker, jailer), (b"vmm".to_vec(), b"jail".to_vec()));
}

#[test]
fn what_no_release_holds_is_refused() {
    let file = EntryType::Regular;
    let cases = [
        ("/etc/passwd", file, "outside"),
        ("release-v1.12.1-x86_64/../../x", file, "outside"),
        ("..", EntryType::Directory, "outside"),
        ("a/link", EntryType::Symlink, "a link"),
        ("a/hard", EntryType::Link, "a link"),
        ("a/null", EntryType::Char, "a device"),
        ("a/disk", EntryType::Block, "a device"),
        ("a/pipe", EntryType::Fifo, "a device"),
        ("a/sparse", EntryType::GNUSparse, "neither file nor directory"),
        (FIRECRACKER, file, "twice"),
        (JAILER, EntryType::Directory, "not a file"),
        ("", file, "no name"),
    ];
    for (name, kind, part) in cases {
        let message = refused(|tar| entry(tar, name, kind, b""));
        assert!(message.contains(part), "{name} {kind:?}: {message}");
    }
}

#[test]
fn an_extension_cannot_give_an_entry_the_name_of_a_program() {
    let long = format!("{JAILER}\0");
    let tar = release(|tar| {
        entry(tar, "././@LongLink", EntryType::GNULongName, long.as_bytes());
        entry(tar, "harmless", EntryType::Regular, b"evil");
        entry(tar, "pax", EntryType::XHeader, b"30 path=/etc/passwd\n");
        entry(tar, "harmless2", EntryType::Regular, b"evil");
    });
    assert_eq!(unpack(&tar).unwrap()[1], b"jail");
}

#[test]
fn an_archive_without_a_program_is_refused() {
    let mut tar = tar::Builder::new(Vec::new());
    entry(&mut tar, FIRECRACKER, EntryType::Regular, b"vmm");
    let error = unpack(&tar.into_inner().unwrap()).unwrap_err();
    assert!(error.to_string().contains("jailer-v1.12.1-x86_64"), "{error}");
}

#[test]
fn an_archive_that_is_cut_off_anywhere_is_refused() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&release(|_| ())).unwrap();
    let whole = gzip.finish().unwrap();
    let sink = |_| Ok(io::sink());
    ARCHIVE.unpack_gzip(&*whole, sink).unwrap();
    // All but the end of the tar, which is padding, and gzip's own trailer.
    for length in 0..whole.len() - 24 {
        ARCHIVE.unpack_gzip(&whole[..length], sink).unwrap_err();
    }
}

#[test]
fn a_bomb_is_not_unpacked() {
    struct Bomb(Cursor<Vec<u8>>);
    impl Read for Bomb {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 => {
                    buffer.fill(0);
                    Ok(buffer.len())
                }
                count => Ok(count),
            }
        }
    }
    let mut header = tar::Header::new_gnu();
    header.set_path("release-v1.12.1-x86_64/LICENSE").unwrap();
    header.set_size(1 << 40);
    header.set_cksum();
    let bomb = Bomb(Cursor::new(header.as_bytes().to_vec()));
    let error = ARCHIVE.unpack(bomb, |_| Ok(io::sink())).unwrap_err();
    assert!(matches!(error, ArchiveError::TooLarge(_)), "{error}");

    header.set_path(FIRECRACKER).unwrap();
    header.set_cksum();
    let bomb = Bomb(Cursor::new(header.as_bytes().to_vec()));
    let error = ARCHIVE.unpack(bomb, |_| Ok(io::sink())).unwrap_err();
    assert!(matches!(error, ArchiveError::TooLarge(_)), "{error}");
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
        let _ = ARCHIVE.unpack(&*bytes, |_| Ok(io::sink()));
        let _ = ARCHIVE.unpack_gzip(&*bytes, |_| Ok(io::sink()));
    }
}
