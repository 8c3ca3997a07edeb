use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use smartvm::{DiskLedger, SmartVm, SmartVmOptions};
use smartvm_images::KernelStore;
use smartvm_testkit::memory::{Bound, assert_reading_is_bounded};

/// Forms that are no record, and some that begin as one.
const FORMS: [(&str, &str, &str, &str); 4] = [
    ("depth", "", "[", ""),
    ("numbers", "{\"a\":[", "1,", "1]}"),
    ("keys", "{\"schemaVersion\":1,", "\"a\":1,", "\"b\":1}"),
    ("text", "{\"id\":\"", "\\u0061", "\"}"),
];

const BOUND: Bound = Bound { per_byte: 30, fixed: 1 << 20 };

fn private(dir: &Path) {
    fs_err::create_dir_all(dir).unwrap();
    fs_err::set_permissions(dir, PermissionsExt::from_mode(0o700)).unwrap();
}

fn repeated((begin, each, end): (&str, &str, &str), count: usize) -> Vec<u8> {
    [begin, &each.repeat(count), end].concat().into_bytes()
}

#[test]
fn the_record_of_a_dead_vm_takes_memory_as_its_text_does() {
    let home = tempfile::tempdir().unwrap();
    let runtime = home.path().join("run");
    let smartvm = SmartVm::new(SmartVmOptions {
        data_dir: home.path().join("data"),
        runtime_dir: runtime.clone(),
        network_state_dir: home.path().join("net"),
        audit: Some(false),
        ..SmartVmOptions::default()
    })
    .unwrap();
    let dead = r#"{"schemaVersion":1,"id":"web","firecracker":null,
        "owner":{"pid":1,"startTime":1,"bootId":"another"},"links":["#;
    let link = r#"{"path":"/nowhere/a","target":"/nowhere/b"},"#;
    let links = ("links", dead, link, r#"{"path":"/nowhere/a","target":"/nowhere/b"}]}"#);
    for (what, begin, each, end) in FORMS.into_iter().chain([links]) {
        let make = |count| repeated((begin, each, end), count);
        let sweep = |bytes: &[u8]| {
            private(&runtime.join("web"));
            fs_err::write(runtime.join("web/record.json"), bytes).unwrap();
            let report = smartvm.sweep().unwrap();
            assert_eq!(report.removed.len() + report.damaged.len(), 1, "{what}");
            let damaged = runtime.join(".damaged");
            if damaged.exists() {
                fs_err::remove_dir_all(damaged).unwrap();
            }
        };
        assert_reading_is_bounded(what, 1000, BOUND, make, sweep);
    }
}

#[test]
fn the_record_of_a_kernel_takes_memory_as_its_text_does() {
    let home = tempfile::tempdir().unwrap();
    let store = KernelStore::open(&home.path().join("kernels")).unwrap();
    let dir = store.dir().join("a");
    private(&dir);
    for (what, begin, each, end) in FORMS {
        let make = |count| repeated((begin, each, end), count);
        let read = |bytes: &[u8]| {
            fs_err::write(dir.join("kernel.json"), bytes).unwrap();
            store.get("a").unwrap_err()
        };
        assert_reading_is_bounded(what, 1000, BOUND, make, read);
    }
}

#[test]
fn a_promise_of_the_disk_takes_memory_as_its_text_does() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    private(&data);
    private(&data.join(".disk"));
    let ledger = DiskLedger::new(&data, Some(1 << 30));
    let path = data.join(".disk/promise");
    let held = fs_err::File::create(&path).unwrap();
    held.file().lock().unwrap();
    let file = r#"{"path":"/nowhere","bytes":1,"isShared":false},"#;
    let files = ("files", r#"{"what":"VM a","logs":0,"files":["#, file, "]}");
    for (what, begin, each, end) in FORMS.into_iter().chain([files]) {
        let make = |count| {
            let text = repeated((begin, each, end), count);
            String::from_utf8(text).unwrap().replace(",]", "]").into_bytes()
        };
        let read = |bytes: &[u8]| {
            // In place: the lock is the file's.
            held.file().set_len(0).unwrap();
            std::os::unix::fs::FileExt::write_all_at(held.file(), bytes, 0).unwrap();
            ledger.state().is_ok()
        };
        assert_reading_is_bounded(what, 1000, BOUND, make, read);
    }
}
