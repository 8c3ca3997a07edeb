//! Files out of the guest and into it.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use smartvm_protocol::host::{DataEnd, StartRead, StartWrite};
use smartvm_protocol::{AgentFrame, HostFrame, Refusal, RefusalCode, SessionKind};

use crate::host::Session;
use crate::world::World;

fn path(path: &Path) -> Vec<u8> {
    path.to_str().unwrap().as_bytes().to_vec()
}

fn read(world: &World, from: &Path, tree: bool) -> Result<Vec<u8>, Refusal> {
    let start = HostFrame::StartRead(StartRead { path: path(from), tree });
    let mut session = Session::open(world, SessionKind::Read, &[start]);
    session.welcome();
    let mut bytes = Vec::new();
    loop {
        match session.next() {
            AgentFrame::ReadStarted(_) => {}
            AgentFrame::Data(data) => bytes.extend_from_slice(&data),
            AgentFrame::DataEnd(end) => {
                assert_eq!(end.bytes, bytes.len() as u64);
                return Ok(bytes);
            }
            AgentFrame::Refused(refusal) => return Err(refusal),
            other => panic!("{other:?}"),
        }
    }
}

fn to(place: &Path) -> StartWrite {
    StartWrite {
        path: path(place),
        tree: false,
        mode: None,
        uid: None,
        gid: None,
        atomic: true,
        parents: false,
    }
}

fn write(world: &World, start: StartWrite, bytes: &[u8]) -> Result<u64, Refusal> {
    let mut session = Session::open(world, SessionKind::Write, &[HostFrame::StartWrite(start)]);
    for chunk in bytes.chunks(60_000) {
        // One that was refused may have closed.
        let _ = session.try_send(&HostFrame::Data(chunk.into()));
    }
    let _ = session.try_send(&HostFrame::DataEnd(DataEnd { bytes: bytes.len() as u64 }));
    session.welcome();
    loop {
        match session.next() {
            AgentFrame::WriteStarted(_) => {}
            AgentFrame::Written(written) => return Ok(written.bytes),
            AgentFrame::Refused(refusal) => return Err(refusal),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_file_comes_out_as_it_went_in() {
    let world = World::new();
    let place = world.dir.path().join("file");
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    let start = StartWrite { mode: Some(0o640), uid: Some(7), gid: Some(8), ..to(&place) };
    assert_eq!(write(&world, start, &bytes).unwrap(), bytes.len() as u64);
    let stat = fs_err::metadata(&place).unwrap();
    assert_eq!((stat.mode() & 0o7777, stat.uid(), stat.gid()), (0o640, 7, 8));
    assert_eq!(read(&world, &place, false).unwrap(), bytes);
    // What is written anew keeps what it was.
    assert_eq!(write(&world, to(&place), b"short").unwrap(), 5);
    let stat = fs_err::metadata(&place).unwrap();
    assert_eq!((stat.mode() & 0o7777, stat.uid(), stat.len()), (0o640, 7, 5));
    // A file without a length that is told beforehand.
    assert!(read(&world, Path::new("/proc/self/status"), false).unwrap().starts_with(b"Name:"));
}

#[test]
fn a_half_written_file_leaves_the_old_one_and_nothing_else() {
    let world = World::new();
    let dir = world.dir.path().join("d");
    fs_err::create_dir(&dir).unwrap();
    let place = dir.join("file");
    fs_err::write(&place, "old").unwrap();
    let start = HostFrame::StartWrite(to(&place));
    let half = HostFrame::Data(b"new"[..].into());
    let mut session = Session::open(&world, SessionKind::Write, &[start, half]);
    session.welcome();
    assert!(matches!(session.next(), AgentFrame::WriteStarted(_)));
    drop(session);
    crate::world::wait_for("the draft to be gone", || {
        (fs_err::read_dir(&dir).unwrap().count() == 1).then_some(())
    });
    assert_eq!(fs_err::read_to_string(&place).unwrap(), "old");
    // A count that is not what came is no whole file either.
    let frames = [
        HostFrame::StartWrite(to(&place)),
        HostFrame::Data(b"new"[..].into()),
        HostFrame::DataEnd(DataEnd { bytes: 4 }),
    ];
    let mut session = Session::open(&world, SessionKind::Write, &frames);
    session.welcome();
    assert!(matches!(session.next(), AgentFrame::WriteStarted(_)));
    assert!(matches!(session.next(), AgentFrame::Refused(_)));
    assert_eq!(fs_err::read_to_string(&place).unwrap(), "old");
}

#[test]
fn nothing_is_written_through_links_into_devices_or_pipes() {
    let world = World::new();
    let dir = world.dir.path();
    let victim = dir.join("victim");
    fs_err::write(&victim, "untouched").unwrap();
    let link = dir.join("link");
    symlink(&victim, &link).unwrap();
    let code = |start| write(&world, start, b"x").unwrap_err().code;
    assert_eq!(code(StartWrite { atomic: false, ..to(&link) }), RefusalCode::WrongKind);
    let fifo = dir.join("fifo");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, mode).unwrap();
    assert_eq!(code(to(&fifo)), RefusalCode::WrongKind);
    assert_eq!(code(StartWrite { atomic: false, ..to(&fifo) }), RefusalCode::WrongKind);
    assert_eq!(code(to(Path::new("/dev/null"))), RefusalCode::WrongKind);
    assert_eq!(code(to(dir)), RefusalCode::WrongKind);
    assert_eq!(code(to(&dir.join("none/file"))), RefusalCode::NoFile);
    assert_eq!(code(to(Path::new("relative"))), RefusalCode::Protocol);
    assert_eq!(code(to(Path::new("/"))), RefusalCode::Protocol);
    // A link is replaced as a whole.
    write(&world, to(&link), b"new").unwrap();
    assert_eq!(fs_err::read_to_string(&link).unwrap(), "new");
    assert_eq!(fs_err::read_to_string(&victim).unwrap(), "untouched");
    let missing = |tree| read(&world, &dir.join("none"), tree).unwrap_err().code;
    assert_eq!((missing(false), missing(true)), (RefusalCode::NoFile, RefusalCode::NoFile));
    assert_eq!(read(&world, &fifo, false).unwrap_err().code, RefusalCode::WrongKind);
    assert_eq!(read(&world, dir, false).unwrap_err().code, RefusalCode::WrongKind);
}

/// What is in a tree, told so that two can be compared.
fn portrait(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs_err::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let stat = fs_err::symlink_metadata(&path).unwrap();
            let content = if stat.is_symlink() {
                format!("-> {}", fs_err::read_link(&path).unwrap().display())
            } else if stat.is_file() {
                format!("{} bytes, {} names", fs_err::read(&path).unwrap().len(), stat.nlink())
            } else {
                String::new()
            };
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let (mode, uid, gid, mtime) = (stat.mode(), stat.uid(), stat.gid(), stat.mtime());
            found.insert(name, format!("{mode:o} {uid}:{gid} {mtime} {content}"));
            if stat.is_dir() {
                dirs.push(path);
            }
        }
    }
    found
}

#[test]
fn a_tree_comes_out_and_goes_in_with_all_that_it_is() {
    let world = World::new();
    let source = world.dir.path().join("from/tree");
    fs_err::create_dir_all(source.join("a/b")).unwrap();
    fs_err::create_dir(source.join("empty")).unwrap();
    fs_err::write(source.join("a/file"), vec![b'x'; 200_000]).unwrap();
    fs_err::write(source.join("a/b/").join("long".repeat(60)), "long name").unwrap();
    fs_err::hard_link(source.join("a/file"), source.join("a/again")).unwrap();
    symlink("../away/from/here", source.join("a/link")).unwrap();
    fs_err::write(source.join("tool"), "#!/bin/sh\n").unwrap();
    let mode = PermissionsExt::from_mode(0o4750);
    std::os::unix::fs::chown(source.join("tool"), Some(12), Some(34)).unwrap();
    fs_err::set_permissions(source.join("tool"), mode).unwrap();
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    for name in ["a/file", "a/b", "empty"] {
        std::fs::File::options()
            .read(true)
            .open(source.join(name))
            .unwrap()
            .set_modified(old)
            .unwrap();
    }
    let stream = read(&world, &source, true).unwrap();
    let target = world.dir.path().join("to/here");
    let start = StartWrite { tree: true, parents: true, ..to(&target) };
    assert_eq!(write(&world, start, &stream).unwrap(), stream.len() as u64);
    assert_eq!(portrait(&target.join("tree")), portrait(&source));
    // One file is a tree of one entry.
    let stream = read(&world, &source.join("tool"), true).unwrap();
    let mut archive = tar_entries(&stream);
    assert_eq!(archive.remove(0), ("tool".to_owned(), "#!/bin/sh\n".to_owned()));
}

/// As another program reads it.
fn tar_entries(stream: &[u8]) -> Vec<(String, String)> {
    let mut archive = tar::Archive::new(stream);
    archive
        .entries()
        .unwrap()
        .map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            (entry.path().unwrap().display().to_string(), content)
        })
        .collect()
}

/// A stream of entries: a name, a kind, a target, a content.
fn stream(entries: &[(&str, tar::EntryType, &str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, target, content) in entries {
        let mut header = tar::Header::new_gnu();
        // Names that a careful writer would not write.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn a_hostile_tree_stays_in_its_directory() {
    use tar::EntryType as Type;
    let world = World::new();
    let outside = world.dir.path().join("outside");
    fs_err::create_dir(&outside).unwrap();
    fs_err::write(outside.join("secret"), "untouched").unwrap();
    let target = world.dir.path().join("target");
    fs_err::create_dir(&target).unwrap();
    let unpack = |entries: &[(&str, Type, &str, &str)]| {
        let start = StartWrite { tree: true, ..to(&target) };
        write(&world, start, &stream(entries))
    };
    let up = outside.to_str().unwrap();
    let code = |entries: &[_]| unpack(entries).unwrap_err().code;
    // A link that leads out leads to the same place within, which is not there.
    for (name, inner, to) in [("out", "out/secret", up), ("up", "up/secret", "../outside")] {
        let behind = [(name, Type::Symlink, to, ""), (inner, Type::Regular, "", "evil")];
        assert_eq!(code(&behind), RefusalCode::Failed);
    }
    let within = [("sub", Type::Directory, "", ""), ("in", Type::Symlink, "/sub", "")];
    unpack(&within).unwrap();
    unpack(&[("in/file", Type::Regular, "", "x")]).unwrap();
    assert!(target.join("sub/file").exists());
    assert_eq!(code(&[("../outside/secret", Type::Regular, "", "evil")]), RefusalCode::Archive);
    assert_eq!(code(&[("dev", Type::Char, "", "")]), RefusalCode::Archive);
    assert_eq!(code(&[("hard", Type::Link, "out", "")]), RefusalCode::Archive);
    assert_eq!(code(&[("hard", Type::Link, "../outside/none", "")]), RefusalCode::Failed);
    // An absolute name is one within.
    unpack(&[("/absolute", Type::Regular, "", "x")]).unwrap();
    assert!(target.join("absolute").exists());
    assert_eq!(fs_err::read_to_string(outside.join("secret")).unwrap(), "untouched");
    assert_eq!(fs_err::read_dir(&outside).unwrap().count(), 1);
    let start = StartWrite { tree: true, ..to(&target) };
    let damaged = write(&world, start, &[b'x'; 2000]).unwrap_err();
    assert_eq!(damaged.code, RefusalCode::Archive);
}
