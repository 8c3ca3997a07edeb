use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::PrivateDir;

fn set_mode(path: &Path, mode: u32) {
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs_err::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Gives a directory away, which only root can.
fn give_to(path: &Path, uid: u32) -> bool {
    geteuid().is_root() && std::os::unix::fs::chown(path, Some(uid), Some(uid)).is_ok()
}

#[test]
fn a_missing_directory_is_made_for_us_alone() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("a/b");
    PrivateDir::ensure(&path).unwrap();
    assert_eq!((mode(&path), mode(&home.path().join("a"))), (0o700, 0o700));
    PrivateDir::ensure(&path).unwrap();
}

#[test]
fn looking_makes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("a/b");
    assert!(PrivateDir::existing(&path).unwrap().is_none());
    let place = Place::examine(&path, Trust::Us).unwrap();
    assert!(matches!(place, Place::Missing { parent, .. } if parent == home.path()));
    assert!(!home.path().join("a").exists());
}

#[test]
fn a_directory_that_others_can_write_to_is_refused() {
    let home = tempfile::tempdir().unwrap();
    for mode in [0o777, 0o770, 0o1777] {
        set_mode(home.path(), mode);
        let refused = PrivateDir::ensure(home.path());
        assert!(matches!(refused, Err(UnsafeDirectory::WritableByOthers { .. })), "mode {mode:o}");
    }
}

#[test]
fn a_directory_on_the_way_that_others_can_write_to_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("ours");
    for mode in [0o777, 0o775] {
        set_mode(home.path(), mode);
        assert!(matches!(
            PrivateDir::ensure(&path),
            Err(UnsafeDirectory::WritableByOthers { path, .. }) if path == home.path()
        ));
    }
    assert!(!path.exists());
}

#[test]
fn a_sticky_directory_on_the_way_is_root_s_or_refused() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("ours");
    set_mode(home.path(), 0o1777);
    // The sticky bit does not bind the directory's owner.
    let refused = PrivateDir::ensure(&path);
    if geteuid().is_root() {
        refused.unwrap();
        give_to(home.path(), 12345);
        assert!(matches!(
            PrivateDir::ensure(&path),
            Err(UnsafeDirectory::ForeignOwner { owner: 12345, .. })
        ));
    } else {
        assert!(matches!(refused, Err(UnsafeDirectory::WritableByOthers { .. })));
    }
}

#[test]
fn a_directory_of_another_user_is_refused_wherever_it_stands() {
    let home = tempfile::tempdir().unwrap();
    let foreign = home.path().join("foreign");
    fs_err::create_dir(&foreign).unwrap();
    if !give_to(&foreign, 12345) {
        // Only root can give a directory away; without it the root directory is foreign.
        let refused = PrivateDir::ensure(Path::new("/"));
        assert!(matches!(refused, Err(UnsafeDirectory::ForeignOwner { .. })));
        return;
    }
    fs_err::create_dir(foreign.join("ours")).unwrap();
    for path in [&foreign, &foreign.join("ours"), &foreign.join("ours/new")] {
        assert!(
            matches!(
                PrivateDir::ensure(path),
                Err(UnsafeDirectory::ForeignOwner { path, owner: 12345, .. }) if path == foreign
            ),
            "{}",
            path.display()
        );
    }
}

#[test]
fn a_directory_of_ours_alone_is_never_a_link_nor_a_file() {
    let home = tempfile::tempdir().unwrap();
    let (link, file) = (home.path().join("link"), home.path().join("file"));
    symlink(home.path(), &link).unwrap();
    fs_err::write(&file, "").unwrap();
    assert!(matches!(PrivateDir::ensure(&link), Err(UnsafeDirectory::Link { .. })));
    PrivateDir::ensure_for(&link, Trust::UsOrRoot).unwrap();
    assert!(matches!(PrivateDir::ensure(&file), Err(UnsafeDirectory::NotADirectory { .. })));
    let below = PrivateDir::ensure(&file.join("x"));
    assert!(matches!(below, Err(UnsafeDirectory::NotADirectory { .. })));
    symlink("/nonexistent", home.path().join("dangling")).unwrap();
    let dangling = PrivateDir::ensure(&home.path().join("dangling"));
    assert!(matches!(dangling, Err(UnsafeDirectory::Link { .. })));
}

#[test]
fn a_link_on_the_way_is_followed_where_only_we_could_have_made_it() {
    let home = tempfile::tempdir().unwrap();
    let real = home.path().join("real/deeper");
    fs_err::create_dir_all(&real).unwrap();
    symlink("real/deeper", home.path().join("link")).unwrap();
    symlink(&real, home.path().join("absolute")).unwrap();
    for path in ["link/a", "absolute/b", "link/../c", "absolute/../deeper/d"] {
        PrivateDir::ensure(&home.path().join(path)).unwrap();
    }
    for made in ["real/deeper/a", "real/deeper/b", "real/c", "real/deeper/d"] {
        assert!(home.path().join(made).is_dir(), "{made}");
    }
}

#[test]
fn a_link_that_others_could_have_made_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let (shared, real) = (home.path().join("shared"), home.path().join("real"));
    fs_err::create_dir(&shared).unwrap();
    fs_err::create_dir(&real).unwrap();
    symlink(&real, shared.join("link")).unwrap();
    set_mode(&shared, 0o1777);
    let refused = PrivateDir::ensure(&shared.join("link/x"));
    if geteuid().is_root() {
        assert!(matches!(refused, Err(UnsafeDirectory::Link { .. })));
        let theirs = home.path().join("theirs");
        symlink(&real, &theirs).unwrap();
        std::os::unix::fs::lchown(&theirs, Some(12345), Some(12345)).unwrap();
        let refused = PrivateDir::ensure(&theirs.join("x"));
        assert!(matches!(refused, Err(UnsafeDirectory::Link { .. })));
    } else {
        refused.unwrap_err();
    }
    assert!(!real.join("x").exists());
}

#[test]
fn what_a_link_leads_to_is_judged_as_well() {
    let home = tempfile::tempdir().unwrap();
    let open = home.path().join("open");
    fs_err::create_dir(&open).unwrap();
    set_mode(&open, 0o777);
    symlink(&open, home.path().join("link")).unwrap();
    assert!(matches!(
        PrivateDir::ensure(&home.path().join("link/x")),
        Err(UnsafeDirectory::WritableByOthers { path, .. }) if path == open
    ));
}

#[test]
fn links_in_a_circle_end() {
    let home = tempfile::tempdir().unwrap();
    symlink("b", home.path().join("a")).unwrap();
    symlink("a", home.path().join("b")).unwrap();
    let refused = PrivateDir::ensure(&home.path().join("a/x"));
    assert!(matches!(refused, Err(UnsafeDirectory::Unusable { .. })));
}
