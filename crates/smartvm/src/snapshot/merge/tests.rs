use proptest::prelude::*;

use super::*;
use crate::snapshot::samples::{PAGE, PAGES, page_of, put};

type Pages = Vec<(u64, u8)>;

fn apply(memory: &mut [u8], pages: &Pages) {
    for (page, byte) in pages {
        let start = usize::try_from(page * PAGE).unwrap();
        memory[start..][..page_of(0).len()].fill(*byte);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Zeros among the bytes: a page that was cleared must become zero again.
    #[test]
    fn a_chain_merges_to_what_the_guest_had(
        base in prop::collection::vec((0..PAGES, 0_u8..3), 0..12),
        changes in prop::collection::vec(prop::collection::vec((0..PAGES, 0_u8..3), 0..6), 1..4),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let store = SnapshotStore::open(&dir.path().join("snapshots")).unwrap();
        let mut expected = vec![0; usize::try_from(PAGES * PAGE).unwrap()];
        apply(&mut expected, &base);
        let mut last = put(&store, "base", None, &base);
        let untouched = fs_err::read(last.memory_path()).unwrap();
        let base_path = last.memory_path();
        for (index, pages) in changes.iter().enumerate() {
            apply(&mut expected, pages);
            last = put(&store, &format!("change{index}"), Some(&last), pages);
        }
        let merged = store.merge(last.name(), &"whole".parse().unwrap()).unwrap();
        prop_assert_eq!(fs_err::read(merged.memory_path()).unwrap(), expected);
        prop_assert_eq!(fs_err::read(base_path).unwrap(), untouched);
        prop_assert_eq!(merged.manifest().kind, SnapshotKind::Full);
        prop_assert_eq!(merged.manifest().id, last.manifest().id);
        prop_assert_eq!(fs_err::read(merged.vmstate_path()).unwrap(), last.name().as_str().as_bytes());
        merged.verify(Verify::Always).unwrap();
    }
}

#[test]
fn what_is_merged_can_be_signed_by_who_vouches_for_it() {
    use smartvm_images::signature::VerifyingKey;
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
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
    let secret = SigningKey::read(&write("secret", secret)).unwrap();
    let public = VerifyingKey::read(&write("public", public)).unwrap();
    let store = SnapshotStore::open(&dir.path().join("snapshots")).unwrap();
    let base = put(&store, "base", None, &[(0, 1)]);
    let change = put(&store, "change", Some(&base), &[(1, 1)]);
    let whole = "whole".parse().unwrap();
    store.merge_and_sign(change.name(), &whole, secret).unwrap();
    store.get_signed(&whole, &public).unwrap();
    assert_eq!(store.get_signed(change.name(), &public).unwrap_err().code(), "SNAPSHOT_UNSIGNED");
}

#[test]
fn what_cannot_be_merged_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = SnapshotStore::open(&dir.path().join("snapshots")).unwrap();
    let base = put(&store, "base", None, &[(0, 1)]);
    let change = put(&store, "change", Some(&base), &[(1, 1)]);
    let whole = "whole".parse().unwrap();
    let refused = |name: &str| store.merge(&name.parse().unwrap(), &whole).unwrap_err().code();
    assert_eq!(refused("base"), "SNAPSHOT_IS_FULL");
    assert_eq!(refused("nothing"), "SNAPSHOT_NOT_FOUND");
    let taken = store.merge(change.name(), base.name()).unwrap_err();
    assert_eq!(taken.code(), "SNAPSHOT_EXISTS");
    fs_err::write(base.memory_path(), vec![7; usize::try_from(PAGES * PAGE).unwrap()]).unwrap();
    assert_eq!(refused("change"), "SNAPSHOT_TAMPERED");
    assert_eq!(fs_err::read_dir(store.dir()).unwrap().count(), 2);
}

#[test]
fn a_difference_that_lost_its_zeros_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = SnapshotStore::open(&dir.path().join("snapshots")).unwrap();
    let base = put(&store, "base", None, &[(0, 1)]);
    let change = put(&store, "change", Some(&base), &[(0, 0)]);
    // As a copy that does not write zeros would leave it: the same bytes to read.
    fs_err::remove_file(change.memory_path()).unwrap();
    fs_err::File::create(change.memory_path()).unwrap().set_len(PAGES * PAGE).unwrap();
    let error = store.merge(change.name(), &"whole".parse().unwrap()).unwrap_err();
    assert_eq!(error.code(), "SNAPSHOT_TAMPERED");
}
