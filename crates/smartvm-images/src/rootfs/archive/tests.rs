//! Archives, good and hostile.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::header::{BLOCK, checksum};
use super::node::{Attributes, Content, Inode};
use super::tree::Tree;
use super::xattrs::Xattrs;
use super::*;
use crate::HostTools;
use crate::host_tool::{Tool, ToolCall};
use crate::rootfs::ext4::Fill;
use crate::rootfs::lost::Lost;

/// A header as old archives have it, and a content.
fn entry(path: &[u8], kind: u8, link: &[u8], content: &[u8]) -> Vec<u8> {
    sized(path, kind, link, content.len() as u64, content)
}

fn sized(path: &[u8], kind: u8, link: &[u8], size: u64, content: &[u8]) -> Vec<u8> {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, path);
    put(100, b"0000644\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(157, link);
    put(257, b"ustar\x0000");
    block[156] = kind;
    let sum = format!("{:06o}\0 ", checksum(&block));
    block[148..156].copy_from_slice(sum.as_bytes());
    let mut bytes = [&block[..], content].concat();
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

fn record(text: &str) -> Vec<u8> {
    let length = text.len() + 4;
    assert!((10..100).contains(&length), "two digits");
    format!("{length} {text}\n").into_bytes()
}

fn whole(entries: &[Vec<u8>]) -> Vec<u8> {
    [entries.concat(), vec![0; 2 * BLOCK]].concat()
}

fn read(archive: &[u8]) -> Result<(Tree, tempfile::TempDir, Vec<String>), UnpackError> {
    let dir = tempfile::tempdir().unwrap();
    let mut lost = Lost::default();
    let tree = unpack(archive, dir.path(), &mut lost)?;
    Ok((tree, dir, lost.into_sentences()))
}

fn refusal(entries: &[Vec<u8>]) -> String {
    let error = read(&whole(entries)).unwrap_err();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(next) = source {
        text.push_str(&format!(": {next}"));
        source = next.source();
    }
    text
}

/// Every path of a tree with what is there; contents of files are read.
fn portrait(tree: &Tree) -> BTreeMap<Vec<u8>, (Attributes, String)> {
    let mut portrait = BTreeMap::new();
    tree.walk(|path, id| {
        let Inode { attributes, content } = tree.get(id);
        let shown = match content {
            Content::Directory(entries) => format!("directory of {}", entries.len()),
            Content::File(size, spooled) => {
                format!("{size} bytes {:?}", fs_err::read(spooled).unwrap())
            }
            other => format!("{other:?}"),
        };
        portrait.insert(path.to_vec(), (attributes.clone(), shown));
        Ok::<_, ()>(())
    })
    .unwrap();
    portrait
}

#[test]
fn an_archive_of_any_age_is_read() {
    let long = b"d/".repeat(80);
    let long_file = [&long[..], b"file"].concat();
    let acl = record("SCHILY.acl.access=user::rwx");
    let (tree, _dir, lost) = read(&whole(&[
        entry(b"./", b'5', b"", b""),
        entry(b"old/", 0, b"", b""),
        entry(b"old/file", 0, b"", b"old"),
        entry(b"@LongLink", b'L', b"", &[&long_file[..], b"\0"].concat()),
        entry(b"cut off", b'0', b"", b"long"),
        entry(b"@LongLink", b'K', b"", &[&long_file[..], b"\0"].concat()),
        entry(b"hard", b'1', b"cut off", b""),
        entry(b"pax", b'x', b"", &[record("path=renamed"), acl].concat()),
        entry(b"cut off", b'0', b"", &[7; 1000]),
        entry(b"pipe", b'6', b"", b""),
    ]))
    .unwrap();
    let portrait = portrait(&tree);
    let shown = |path: &[u8]| portrait[path].1.as_str();
    assert_eq!(shown(b"/old/file"), format!("3 bytes {:?}", b"old"));
    assert_eq!(shown(b"/hard"), format!("4 bytes {:?}", b"long"));
    assert_eq!(shown(b"/renamed"), format!("1000 bytes {:?}", [7; 1000]));
    assert_eq!(shown(b"/pipe"), "Device(Pipe)");
    assert_eq!(lost, ["`renamed` loses its access control list, which is text in the archive"]);
}

#[test]
fn an_archive_cannot_lead_elsewhere_or_take_what_it_likes() {
    let file = |path: &[u8]| entry(path, b'0', b"", b"x");
    let symlink = |path: &[u8], to: &[u8]| entry(path, b'2', to, b"");
    for (entries, part) in [
        (vec![file(b"../../etc/passwd")], "leaves the root"),
        (vec![file(b"a/../../x")], "leaves the root"),
        (vec![symlink(b"out", b"/etc"), file(b"out/passwd")], "no directory"),
        (vec![symlink(b"out", b".."), file(b"out/x")], "no directory"),
        (vec![entry(b"h", b'1', b"/etc/passwd", b"")], "does not come before"),
        (vec![entry(b"h", b'1', b"../x", b"")], "leaves the root"),
        (vec![file(b"d/x"), symlink(b"d", b"/etc")], "a directory in its place"),
        (vec![file(b"d/x"), entry(b"h", b'1', b"d", b"")], "hard link to a directory"),
        (vec![symlink(b"l", b"")], "link to nothing"),
        (vec![entry(b"s", b'S', b"", b"")], "type `S` is unknown"),
        (vec![entry(b"p", b'x', b"", &record("GNU.sparse.major=1")), file(b"f")], "sparse"),
        (vec![entry(b"p", b'x', b"", &record("uid=99999999999")), file(b"f")], "larger than Linux"),
        (vec![sized(b"p", b'x', b"", 1 << 32, b"")], "more than 1048576 bytes of one file"),
        (vec![sized(b"big", b'0', b"", 1 << 32, b"x")], "ends in the middle"),
        (vec![entry(b"p", b'x', b"", &record("size=9999999999999999")), file(b"f")], "holds more"),
    ] {
        let refusal = refusal(&entries);
        assert!(refusal.contains(part), "{refusal:?} should say {part:?}");
    }
}

#[test]
fn an_archive_without_its_end_is_not_whole() {
    let good = whole(&[entry(b"a", b'0', b"", b"content")]);
    read(&good).unwrap();
    for length in [0, 100, BLOCK, BLOCK + 3, 2 * BLOCK] {
        let error = read(&good[..length]).unwrap_err().to_string();
        let inside = error.contains("ends in the middle") || error.contains("cannot be taken");
        assert!(inside, "{length}: {error}");
    }
    let mut damaged = good;
    damaged[0] = b'b';
    assert!(read(&damaged).unwrap_err().to_string().contains("sum is wrong"));
}

#[test]
fn zeros_stay_holes() {
    use std::os::unix::fs::MetadataExt as _;
    let mut content = vec![0; 1 << 20];
    content[700_000] = 1;
    let (tree, dir, _) = read(&whole(&[entry(b"a", b'0', b"", &content)])).unwrap();
    let spooled = fs_err::metadata(dir.path().join("0")).unwrap();
    assert_eq!(spooled.len(), 1 << 20);
    assert!(spooled.blocks() * 512 <= 128 << 10, "{} blocks", spooled.blocks());
    assert_eq!(tree.content_bytes(), (1 << 20) + 4096);
}

#[test]
fn a_device_with_two_names_is_one_in_ext4() {
    let mut device = entry(b"dev/null", b'3', b"", b"");
    device[329..337].copy_from_slice(b"0000001\0");
    device[337..345].copy_from_slice(b"0000003\0");
    let sum = checksum(device[..BLOCK].first_chunk().unwrap());
    device[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let link = entry(b"null too", b'1', b"dev/null", b"");
    let (tree, dir, _) = read(&whole(&[device, link])).unwrap();
    let laid_out = lay_out(&tree, dir.path()).unwrap();
    let image = dir.path().join("image");
    let fill = Fill {
        dir: &laid_out.dir,
        script: laid_out.script,
        inodes: 3,
        bytes: tree.content_bytes(),
    };
    let tools = HostTools::default();
    // It checks what it has made, the counts of names too.
    fill.make(&image, None, dir.path(), &tools).unwrap();
    for path in ["/dev/null", "/null too"] {
        let call = ToolCall::new(Tool::DEBUGFS).arg("-R").arg(format!("stat \"{path}\""));
        let said = call.image(&image).run(&tools).unwrap().stdout;
        assert!(said.contains("Type: character special"), "{said}");
        assert!(said.contains("Links: 2"), "{said}");
        assert!(said.contains("Device major/minor number: 01:03"), "{said}");
    }
}

fn attributes() -> impl Strategy<Value = Attributes> {
    let names_and_values = proptest::collection::btree_map(
        "user\\.[a-z]{1,20}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..40),
        0..3,
    );
    (0..0o10000_u32, any::<u32>(), any::<u32>(), any::<u32>(), names_and_values).prop_map(
        |(mode, uid, gid, seconds, names_and_values)| {
            let mut xattrs = Xattrs::default();
            for (name, value) in names_and_values {
                xattrs.insert(&name, &value).unwrap();
            }
            let mtime = Stamp { seconds: seconds.into(), nanoseconds: 0 };
            Attributes { mode, uid, gid, mtime, xattrs }
        },
    )
}

/// A content as one byte of its kind, and bytes for it.
fn inode(dir: &Path, number: usize, kind: u8, attributes: Attributes, bytes: &[u8]) -> Inode {
    let device = DeviceNumber { major: 259, minor: u32::from(kind) << 16 };
    let content = match kind % 6 {
        0 => Content::Directory(BTreeMap::new()),
        1 => Content::Symlink([b"to", bytes].concat().iter().map(|it| it | 1).collect()),
        2 => Content::Device(DeviceKind::Pipe),
        3 => Content::Device(DeviceKind::Character(device)),
        4 => Content::Device(DeviceKind::Block(device)),
        _ => {
            let path = dir.join(format!("source-{number}"));
            fs_err::write(&path, bytes).unwrap();
            Content::File(bytes.len() as u64, path)
        }
    };
    Inode { attributes, content }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read_as_it_was(
        nodes in proptest::collection::vec(
            (
                "[a-c \"\n\u{e4}]{1,3}(/[a-c]{1,90}){0,3}",
                any::<u8>(),
                attributes(),
                proptest::collection::vec(any::<u8>(), 0..700),
            ),
            0..12,
        ),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut tree = Tree::new();
        for (number, (path, kind, attributes, bytes)) in nodes.into_iter().enumerate() {
            // Some have no place, which is as good.
            let _ = tree.put(path.as_bytes(), inode(dir.path(), number, kind, attributes, &bytes));
            let _ = tree.link(format!("link-{number}").as_bytes(), path.as_bytes());
        }
        let mut archive = Vec::new();
        write_archive(&tree, &mut archive).unwrap();
        let (again, _dir, _) = read(&archive).unwrap();
        prop_assert_eq!(portrait(&again), portrait(&tree));
    }

    #[test]
    fn no_bytes_make_it_panic(
        noise in proptest::collection::vec(any::<u8>(), 0..2000),
        at in 0..1024_usize,
    ) {
        let mut archive = whole(&[
            entry(b"p", b'x', b"", &record("path=renamed")),
            entry(b"a", b'0', b"", b"content"),
        ]);
        let end = (at + noise.len()).min(archive.len());
        archive[at..end].copy_from_slice(&noise[..end - at]);
        // Looking through it says what unpacking says.
        prop_assert_eq!(RootfsArchive::examine(&archive[..]).is_ok(), read(&archive).is_ok());
        let _ = read(&noise);
    }
}
