use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

fn dir() -> (tempfile::TempDir, PrivateDir) {
    let home = tempfile::tempdir().unwrap();
    let dir = PrivateDir::ensure(home.path()).unwrap();
    (home, dir)
}

#[test]
fn what_is_written_is_read_back_and_replaced_whole() {
    let (home, dir) = dir();
    assert_eq!(dir.read("a").unwrap(), None);
    dir.write("a", b"one").unwrap();
    dir.write("a", b"two").unwrap();
    assert_eq!(dir.read_text("a").unwrap().unwrap(), "two");
    let mode = fs_err::metadata(home.path().join("a")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let names: Vec<_> = dir.entries().unwrap().iter().map(|it| it.name().to_owned()).collect();
    assert_eq!(names, ["a"]);
}

#[test]
fn no_name_leads_out_of_the_directory_or_through_a_link() {
    let (home, dir) = dir();
    let elsewhere = tempfile::tempdir().unwrap();
    fs_err::write(elsewhere.path().join("record.json"), "planted").unwrap();
    symlink(elsewhere.path(), home.path().join("web")).unwrap();
    symlink(elsewhere.path().join("record.json"), home.path().join("record.json")).unwrap();
    dir.read("record.json").unwrap_err();
    dir.read("web/record.json").unwrap_err();
    dir.dir("web").unwrap_err();
    dir.write("web/x", b"").unwrap_err();
    dir.read("../x").unwrap_err();
    dir.read("/etc/passwd").unwrap_err();
    dir.create_dir("web/x").unwrap_err();
    dir.remove_file("web/record.json").unwrap_err();
    dir.remove_dir_all("web").unwrap_err();
    assert!(elsewhere.path().join("record.json").exists());
    // The link itself is ours to replace.
    dir.write("record.json", b"ours").unwrap();
    assert_eq!(fs_err::read(elsewhere.path().join("record.json")).unwrap(), b"planted");
}

#[test]
fn a_pipe_in_place_of_a_file_stops_nobody() {
    let (home, dir) = dir();
    let mode = Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(CWD, home.path().join("pipe"), FileType::Fifo, mode, 0).unwrap();
    assert_eq!(dir.read("pipe").unwrap_err().kind(), io::ErrorKind::InvalidData);
}

#[test]
fn the_directory_stays_the_one_that_was_looked_at() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("runtime");
    let dir = PrivateDir::ensure(&path).unwrap();
    assert!(dir.is_in_place().unwrap());
    fs_err::rename(&path, home.path().join("aside")).unwrap();
    fs_err::create_dir(&path).unwrap();
    fs_err::write(path.join("record.json"), "planted").unwrap();
    assert_eq!(dir.read("record.json").unwrap(), None);
    assert!(!dir.is_in_place().unwrap());
}

#[test]
fn a_tree_of_any_depth_is_removed_and_no_link_of_it_followed() {
    let (home, dir) = dir();
    let elsewhere = tempfile::tempdir().unwrap();
    fs_err::write(elsewhere.path().join("precious"), "").unwrap();
    let mut deep = dir.create_dir("tree").unwrap();
    for _ in 0..1500 {
        deep = deep.create_dir("d").unwrap();
        deep.write("f", b"").unwrap();
        deep.symlink(elsewhere.path(), "link").unwrap();
    }
    drop(deep);
    dir.remove_dir_all("tree").unwrap();
    dir.remove_dir_all("tree").unwrap();
    assert_eq!(fs_err::read_dir(home.path()).unwrap().count(), 0);
    assert!(elsewhere.path().join("precious").exists());
}
