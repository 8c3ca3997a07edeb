use smartvm_images::signature::SigningKey;

use super::*;
use crate::snapshot::files;
use crate::snapshot::samples::{manifest, put};
use crate::snapshot::stored::Verify;

fn store() -> (tempfile::TempDir, SnapshotStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = SnapshotStore::open(&dir.path().join("snapshots")).unwrap();
    (dir, store)
}

fn name(text: &str) -> SnapshotName {
    text.parse().unwrap()
}

#[test]
fn a_snapshot_appears_whole_and_goes_whole() {
    let (_dir, store) = store();
    assert!(store.list().unwrap().is_empty());
    let made = put(&store, "one", None, &[(0, 1)]);
    let found = store.get(&name("one")).unwrap();
    assert_eq!(found.manifest(), made.manifest());
    found.verify(Verify::Always).unwrap();
    assert_eq!(store.draft(&name("one")).unwrap_err().code(), "SNAPSHOT_EXISTS");
    store.remove(&name("one")).unwrap();
    assert_eq!(store.remove(&name("one")).unwrap_err().code(), "SNAPSHOT_NOT_FOUND");
    assert_eq!(fs_err::read_dir(store.dir()).unwrap().count(), 0);
}

#[test]
fn what_is_being_restored_is_not_removed_and_what_was_removed_is_not_restored() {
    let (_dir, store) = store();
    let made = put(&store, "one", None, &[(0, 1)]);
    let readers = [store.hold(&made).unwrap(), store.hold(&made).unwrap()];
    let error = store.remove(&name("one")).unwrap_err();
    assert_eq!((error.code(), error.hint().is_some()), ("SNAPSHOT_IN_USE", true));
    made.verify(Verify::Always).unwrap();
    drop(readers);
    store.remove(&name("one")).unwrap();
    assert_eq!(store.hold(&made).unwrap_err().code(), "SNAPSHOT_NOT_FOUND");
    put(&store, "one", None, &[(0, 2)]);
}

#[test]
fn a_draft_that_is_dropped_leaves_nothing_and_a_dead_ones_goes_with_the_next_command() {
    let (_dir, store) = store();
    let draft = store.draft(&name("one")).unwrap();
    let path = draft.path().to_owned();
    fs_err::write(path.join("memory"), "x").unwrap();
    assert!(store.list().unwrap().is_empty(), "a draft is no snapshot");
    assert!(path.exists(), "its maker lives");
    drop(draft);
    assert!(!path.exists());

    fs_err::create_dir(&path).unwrap();
    fs_err::write(path.join("memory"), "x").unwrap();
    assert!(store.list().unwrap().is_empty());
    assert!(!path.exists(), "nobody holds its lock");
}

#[test]
fn of_two_makers_of_one_name_the_second_fails_and_leaves_nothing() {
    let (_dir, store) = store();
    let draft = store.draft(&name("one")).unwrap();
    let memory = fs_err::File::create(draft.path().join(files::MEMORY)).unwrap();
    fs_err::write(draft.path().join(files::VMSTATE), "x").unwrap();
    let mut other = manifest("one");
    memory.set_len(other.memory_size).unwrap();
    other.drives.clear();
    put(&store, "one", None, &[]);
    assert_eq!(draft.publish(other).unwrap_err().code(), "SNAPSHOT_EXISTS");
    assert_eq!(fs_err::read_dir(store.dir()).unwrap().count(), 1);
}

#[test]
fn the_base_of_another_snapshot_is_not_removed() {
    let (_dir, store) = store();
    let base = put(&store, "base", None, &[]);
    put(&store, "change", Some(&base), &[]);
    let error = store.remove(&name("base")).unwrap_err();
    assert_eq!(error.code(), "SNAPSHOT_IN_USE");
    assert_eq!(error.to_string(), "snapshot base is the base of change");
    store.remove(&name("change")).unwrap();
    store.remove(&name("base")).unwrap();
}

#[test]
fn a_base_that_was_replaced_is_no_base() {
    let (_dir, store) = store();
    let base = put(&store, "base", None, &[]);
    put(&store, "change", Some(&base), &[]);
    fs_err::remove_dir_all(base.dir()).unwrap();
    assert_eq!(store.chain(&name("change")).unwrap_err().code(), "SNAPSHOT_NOT_FOUND");
    put(&store, "base", None, &[]);
    assert_eq!(store.chain(&name("change")).unwrap_err().code(), "SNAPSHOT_DAMAGED");
}

#[test]
fn every_file_that_was_changed_is_found() {
    let (_dir, store) = store();
    let made = put(&store, "one", None, &[(0, 1), (5, 2)]);
    for file in ["vmstate", "memory", "drives/rootfs"] {
        let path = made.dir().join(file);
        let original = fs_err::read(&path).unwrap();
        let mut changed = original.clone();
        changed[0] ^= 1;
        fs_err::write(&path, &changed).unwrap();
        assert_eq!(made.verify(Verify::Always).unwrap_err().code(), "SNAPSHOT_TAMPERED", "{file}");
        fs_err::write(&path, &original[1..]).unwrap();
        assert_eq!(made.verify(Verify::Changed).unwrap_err().code(), "SNAPSHOT_TAMPERED", "{file}");
        fs_err::remove_file(&path).unwrap();
        assert_eq!(made.verify(Verify::Changed).unwrap_err().code(), "SNAPSHOT_DAMAGED", "{file}");
        // Another inode with the right content is right, and remembered.
        fs_err::write(&path, &original).unwrap();
        made.verify(Verify::Changed).unwrap();
        made.verify(Verify::Changed).unwrap();
    }
}

#[test]
fn a_snapshot_under_another_name_is_damaged() {
    let (_dir, store) = store();
    let made = put(&store, "one", None, &[]);
    fs_err::rename(made.dir(), store.dir().join("two")).unwrap();
    assert_eq!(store.get(&name("two")).unwrap_err().code(), "SNAPSHOT_DAMAGED");
    assert!(store.list().unwrap().is_empty());
}

#[test]
fn what_is_not_signed_by_the_key_is_not_even_parsed() {
    let (dir, store) = store();
    let key = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs_err::write(&path, text).unwrap();
        fs_err::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
        path
    };
    let secret = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIAynHSX7rgUxncjgzeV/eN+YqK7Cf/coW2SwFTJPdSEm\n\
        -----END PRIVATE KEY-----\n";
    let public = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEA2YFFctE5kUkvQi2/i37PHIm3mx3g//q679S5deHsXyU=\n\
        -----END PUBLIC KEY-----\n";
    let other = public.replace(
        "2YFFctE5kUkvQi2/i37PHIm3mx3g//q679S5deHsXyU=",
        "OfpCNLd77e7N1TBMo0VLebcmeUHytM+oBL5ckfrX2E4=",
    );
    let secret = SigningKey::read(&key("secret", secret)).unwrap();
    let public = VerifyingKey::read(&key("public", public)).unwrap();
    let other = VerifyingKey::read(&key("other", &other)).unwrap();

    let unsigned = put(&store, "unsigned", None, &[(0, 1)]);
    let code = |name_: &str, key| store.get_signed(&name(name_), key).unwrap_err().code();
    assert_eq!(code("unsigned", &public), "SNAPSHOT_UNSIGNED");

    let draft = store.draft(&name("signed")).unwrap().signed_by(Some(secret));
    for file in [files::MEMORY, files::VMSTATE] {
        fs_err::copy(unsigned.dir().join(file), draft.path().join(file)).unwrap();
    }
    let mut described = manifest("signed");
    described.drives.clear();
    let signed = draft.publish(described).unwrap();
    assert!(store.get_signed(&name("signed"), &public).unwrap().is_made_here());
    assert_eq!(code("signed", &other), "SNAPSHOT_WRONG_SIGNATURE");

    // The signature of one is none of another, and none of a file that it does not know.
    let signature = fs_err::read(signed.dir().join(files::SIGNATURE)).unwrap();
    fs_err::write(unsigned.dir().join(files::SIGNATURE), &signature).unwrap();
    assert_eq!(code("unsigned", &public), "SNAPSHOT_WRONG_SIGNATURE");
    let moved = store.dir().join("renamed");
    fs_err::rename(signed.dir(), &moved).unwrap();
    assert_eq!(code("renamed", &public), "SNAPSHOT_DAMAGED");
    fs_err::write(moved.join(files::MANIFEST), "{").unwrap();
    assert_eq!(code("renamed", &public), "SNAPSHOT_WRONG_SIGNATURE");
}
