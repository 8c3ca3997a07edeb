//! What a defect of the running version would harm is refused, unless the defect is accepted.
//!
//! The versions with defects are newer than the fixture, so its own number is rewritten: whatever asks
//! it for its version is told another one.

use std::path::PathBuf;

use serde_json::{Value, json};
use smartvm::snapshot::{CreateSnapshot, RestoreVm};
use smartvm::{SmartVmError, VmConfig, VsockConfig};
use smartvm_testkit::tiny_guest::TinyGuest;
use smartvm_testkit::{TestHome, fixtures};

use crate::snapshots::name;
use crate::support::Bench;

/// The fixture under another version, of as many characters as its own.
fn fixture_as(home: &TestHome, version: &str) -> PathBuf {
    let own = b"1.12.1";
    assert_eq!(version.len(), own.len());
    let mut program = fs_err::read(fixtures::firecracker()).unwrap();
    let places: Vec<usize> =
        (0..program.len() - own.len()).filter(|at| &program[*at..*at + own.len()] == own).collect();
    assert!(!places.is_empty());
    for at in places {
        program[at..at + own.len()].copy_from_slice(version.as_bytes());
    }
    let path = home.path().join("firecracker");
    fs_err::write(&path, program).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs_err::set_permissions(&path, executable).unwrap();
    path
}

fn bench_with(version: &str, accepted: &[&str]) -> (TestHome, Bench) {
    let home = TestHome::new();
    let program = fixture_as(&home, version);
    let bench = Bench::with(|options| {
        options.firecracker_binary_path = Some(program);
        options.accepted_defects = accepted.iter().map(ToString::to_string).collect();
    });
    (home, bench)
}

fn with(config: &VmConfig, key: &str, value: Value) -> VmConfig {
    let mut json = serde_json::to_value(config).unwrap();
    json[key] = value;
    VmConfig::from_json(&json.to_string()).unwrap()
}

fn is_refused(error: &SmartVmError, defect: &str) {
    assert_eq!(error.code(), "FIRECRACKER_KNOWN_BAD", "{error}");
    assert!(error.to_string().starts_with(defect), "{error}");
    assert!(error.hint().unwrap().contains(&format!("accept the defect `{defect}`")));
}

#[tokio::test]
async fn a_start_with_pci_is_refused_where_a_guest_could_write_outside_its_memory() {
    for (accepted, refused) in [(&[][..], true), (&["issue 5958"], true), (&["*"], false)] {
        let (_home, bench) = bench_with("1.14.0", accepted);
        let config = with(&bench.config(&TinyGuest::halts()), "enablePci", json!(true));
        let vm = bench.smartvm.create_vm(&config).unwrap();
        let error = vm.start().await.unwrap_err();
        if refused {
            is_refused(&error, "CVE-2026-5747");
            assert!(!vm.runtime_dir().exists());
        } else {
            // It is no newer for being called so: it does not know the flag.
            assert_eq!(error.code(), "VMM_EXITED", "{error}");
        }
        vm.cleanup().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_with_vsock_is_refused_where_the_guest_could_not_connect_any_more() {
    for accepted in [&[][..], &["Issue 5958"]] {
        let (_home, bench) = bench_with("1.16.0", accepted);
        let mut config = bench.config(&TinyGuest::halts());
        config.vsock = Some(VsockConfig { guest_cid: 3, uds_path: None });
        let vm = bench.smartvm.create_vm(&config).unwrap();
        vm.start().await.unwrap();
        vm.create_snapshot(CreateSnapshot::full(name("one"))).await.unwrap();
        vm.cleanup().await.unwrap();
        let vm = bench.smartvm.restore_vm(RestoreVm::new(name("one"))).unwrap();
        let restored = vm.start().await;
        match accepted {
            [] => is_refused(&restored.unwrap_err(), "issue 5958"),
            _ => drop(restored.unwrap()),
        }
        vm.cleanup().await.unwrap();
    }
}

#[tokio::test]
async fn a_difference_is_refused_where_it_would_be_corrupt() {
    for (memory_mib, accepted, code) in [
        (3200, &[][..], "FIRECRACKER_KNOWN_BAD"),
        (3200, &["pull request 5705"], "SNAPSHOT_NOT_FOUND"),
        (32, &[], "SNAPSHOT_NOT_FOUND"),
    ] {
        let (_home, bench) = bench_with("1.14.1", accepted);
        let mut config = bench.config(&TinyGuest::halts());
        config.machine_config.mem_size_mib = memory_mib;
        config.machine_config.track_dirty_pages = Some(true);
        let vm = bench.smartvm.create_vm(&config).unwrap();
        vm.start().await.unwrap();
        // The defect is told before it is seen that there is no base.
        let difference = CreateSnapshot::diff(name("two"), name("one"));
        let error = vm.create_snapshot(difference).await.unwrap_err();
        assert_eq!(error.code(), code, "{memory_mib} MiB: {error}");
        vm.cleanup().await.unwrap();
    }
}
