//! A directory with one of everything.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, makedev, mknodat, utimensat,
};

/// An access control list that lets user 1234 read.
pub(crate) const ACL: [u8; 44] = [
    2, 0, 0, 0, // version
    1, 0, 6, 0, 255, 255, 255, 255, // the owner
    2, 0, 4, 0, 210, 4, 0, 0, // user 1234
    4, 0, 4, 0, 255, 255, 255, 255, // the group
    16, 0, 4, 0, 255, 255, 255, 255, // the mask
    32, 0, 4, 0, 255, 255, 255, 255, // others
];

/// `cap_net_raw+ep`.
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// A moment of the time when most files were made.
pub(crate) const WHEN: (i64, i64) = (1_234_567_890, 123_456_789);

/// Makes it, with owners that only root can give.
pub(crate) fn make_sample(root: &Path) -> PathBuf {
    let at = |name: &str| root.join(name);
    fs_err::create_dir_all(at("etc/deep/er")).unwrap();
    fs_err::create_dir(at("lost+found")).unwrap();
    fs_err::create_dir(at("sticky")).unwrap();
    fs_err::create_dir(at("many")).unwrap();
    for number in 0..500 {
        fs_err::write(at(&format!("many/a file with number {number}")), number.to_string())
            .unwrap();
    }
    fs_err::write(at("etc/passwd"), "root:x:0:0::/root:/bin/sh\n").unwrap();
    fs_err::write(at("empty"), "").unwrap();
    fs_err::write(at("name with \"quotes\", blanks and ü"), "x").unwrap();
    fs_err::write(at(&"n".repeat(255)), "x").unwrap();
    let sparse = fs_err::File::create(at("sparse")).unwrap();
    sparse.set_len(24 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(sparse.file(), b"data", 13 << 20).unwrap();
    fs_err::write(at("large"), vec![9; 3 << 20]).unwrap();
    fs_err::hard_link(at("etc/passwd"), at("etc/deep/hard")).unwrap();
    fs_err::hard_link(at("etc/passwd"), at("hard")).unwrap();
    symlink("../etc/passwd", at("etc/link")).unwrap();
    symlink("x".repeat(200), at("long link")).unwrap();
    symlink("/etc/shadow", at("absolute")).unwrap();
    node(&at("null"), FileType::CharacterDevice, 1, 3);
    node(&at("disk"), FileType::BlockDevice, 259, 70_000);
    node(&at("pipe"), FileType::Fifo, 0, 0);
    fs_err::hard_link(at("null"), at("etc/null too")).unwrap();
    drop(UnixListener::bind(at("socket")).unwrap());

    attribute(&at("etc/passwd"), "user.note", b"a note");
    attribute(&at("etc/passwd"), "user.bytes", b"line\nline\0\xff=");
    attribute(&at("large"), "user.much", &[b'm'; 2000]);
    attribute(&at("large"), "security.capability", &CAPABILITY);
    attribute(&at("sticky"), "trusted.secret", b"x");
    attribute(root, "user.root", b"r");

    for (name, uid, gid) in
        [("etc/passwd", 1, 2), ("sparse", 70_000, 80_000), ("empty", 3_000_000, 4_000_000_000)]
    {
        fs_err::os::unix::fs::chown(at(name), Some(uid), Some(gid)).unwrap();
    }
    std::os::unix::fs::lchown(at("long link"), Some(7), Some(8)).unwrap();
    fs_err::os::unix::fs::chown(root, Some(5), Some(6)).unwrap();
    for (name, mode) in [
        ("large", 0o4755),
        ("sparse", 0o2640),
        ("sticky", 0o1777),
        ("empty", 0o000),
        ("etc", 0o700),
    ] {
        fs_err::set_permissions(at(name), PermissionsExt::from_mode(mode)).unwrap();
    }
    fs_err::set_permissions(root, PermissionsExt::from_mode(0o2751)).unwrap();
    // A change of owner takes it away.
    attribute(&at("large"), "security.capability", &CAPABILITY);

    set_time(&at("etc/passwd"), WHEN);
    set_time(&at("null"), (2_524_608_000, 5));
    set_time(&at("pipe"), (-304_819_200, 250_000_000));
    set_time(&at("long link"), (1_000_000_000, 0));
    set_time(&at("etc"), (1_111_111_111, 111_111_111));
    set_time(root, WHEN);
    root.to_owned()
}

fn node(path: &Path, kind: FileType, major: u32, minor: u32) {
    mknodat(CWD, path, kind, Mode::from_raw_mode(0o640), makedev(major, minor)).unwrap();
}

fn attribute(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::lsetxattr(path, name, value, XattrFlags::empty()).unwrap();
}

/// Sets the time of the last change, of a link itself too.
pub(crate) fn set_time(path: &Path, (tv_sec, tv_nsec): (i64, i64)) {
    let time = Timespec { tv_sec, tv_nsec };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}
