use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::kernel::samples;

fn import(store: &KernelStore, version: &str, name: Option<&str>) -> StoredKernel {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("vmlinuz");
    fs_err::write(&image, samples::vmlinux(version)).unwrap();
    let request = ImportKernel { image, name: name.map(str::to_owned), ..Default::default() };
    store.import(&request).unwrap()
}

fn store() -> (tempfile::TempDir, KernelStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = KernelStore::open(&dir.path().join("data/kernels")).unwrap();
    (dir, store)
}

#[test]
fn a_new_store_is_private() {
    let (_dir, store) = store();
    assert_eq!(fs_err::metadata(store.dir()).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(store.list().unwrap().is_empty());
    assert_eq!(store.latest().unwrap(), None);
}

#[test]
fn a_store_that_others_can_write_or_own_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs_err::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let error = KernelStore::open(dir.path()).unwrap_err();
    assert_eq!(error.code(), "KERNEL_STORE_UNSAFE");
    assert!(error.hint().unwrap().contains("only you can write"));
    fs_err::set_permissions(dir.path(), PermissionsExt::from_mode(0o700)).unwrap();
    let file = dir.path().join("file");
    fs_err::write(&file, "").unwrap();
    assert_eq!(KernelStore::open(&file).unwrap_err().code(), "KERNEL_STORE_FAILED");
}

#[test]
fn a_kernel_is_found_by_its_name_and_a_wrong_name_lists_what_there_is() {
    let (_dir, store) = store();
    let error = store.get("6.1.0").unwrap_err();
    assert!(error.to_string().ends_with("there is: none"), "{error}");
    assert!(error.hint().unwrap().contains("kernel import"));
    let first = import(&store, "6.1.0-1-a", None);
    let second = import(&store, "6.1.0-1-a", Some("mine"));
    assert_eq!(store.get("6.1.0-1-a").unwrap(), first);
    assert_eq!(store.list().unwrap(), [first, second.clone()]);
    assert_eq!(store.latest().unwrap().unwrap().version, "6.1.0-1-a");
    let error = store.get("other").unwrap_err();
    assert_eq!(error.code(), "KERNEL_NOT_FOUND");
    assert!(error.to_string().ends_with("there is: 6.1.0-1-a, mine"), "{error}");
}

#[test]
fn names_that_could_leave_the_store_are_refused() {
    let (_dir, store) = store();
    for name in ["", ".", "..", "../x", "a/b", ".draft-x", "a b", "a\0b", "ü", &"a".repeat(129)] {
        assert_eq!(store.get(name).unwrap_err().code(), "INVALID_KERNEL_NAME", "{name:?}");
        assert_eq!(store.remove(name).unwrap_err().code(), "INVALID_KERNEL_NAME", "{name:?}");
    }
    assert!(check_name(&"a".repeat(128)).is_ok());
}

#[test]
fn removing_says_whether_there_was_one() {
    let (_dir, store) = store();
    import(&store, "6.1.0-1-a", None);
    assert!(store.remove("6.1.0-1-a").unwrap());
    assert!(!store.remove("6.1.0-1-a").unwrap());
    assert_eq!(fs_err::read_dir(store.dir()).unwrap().count(), 0);
}

#[test]
fn what_an_interrupted_import_left_is_removed_by_the_next_writer() {
    let (_dir, store) = store();
    let left = store.dir().join(".draft-abc");
    fs_err::create_dir(&left).unwrap();
    fs_err::write(left.join("vmlinux"), "half").unwrap();
    assert!(store.list().unwrap().is_empty());
    import(&store, "6.1.0-1-a", None);
    assert!(!left.exists());
}

#[test]
fn damaged_records_have_their_code_and_are_left_out_of_the_list() {
    let (_dir, store) = store();
    import(&store, "6.1.0-1-a", None);
    import(&store, "6.1.0-1-b", None);
    let record = store.dir().join("6.1.0-1-a/kernel.json");
    let good = fs_err::read_to_string(&record).unwrap();
    let newer = good.replace("\"schemaVersion\": 1", "\"schemaVersion\": 2");
    assert_ne!(good, newer);
    for bad in [newer.as_str(), "{", "[]", ""] {
        fs_err::write(&record, bad).unwrap();
        let error = store.get("6.1.0-1-a").unwrap_err();
        assert_eq!(error.code(), "KERNEL_DAMAGED");
        assert_eq!(store.list().unwrap().len(), 1);
    }
}

#[test]
fn a_changed_file_is_noticed_by_verify() {
    let (_dir, store) = store();
    let kernel = import(&store, "6.1.0-1-a", None);
    kernel.verify().unwrap();
    fs_err::write(&kernel.vmlinux, "something else").unwrap();
    let error = kernel.verify().unwrap_err();
    assert!(matches!(error, crate::VerifyKernelError::Changed { .. }), "{error}");
    fs_err::remove_file(&kernel.vmlinux).unwrap();
    assert_eq!(kernel.verify().unwrap_err().code(), "KERNEL_DAMAGED");
}
