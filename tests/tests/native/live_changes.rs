//! Changing a VM that runs, or stands still.

use serde_json::{Map, Value, json};
use smartvm::{
    DriveConfig, DriveUpdate, MicroVm, NetworkInterfaceConfig, NetworkInterfaceUpdate, PmemConfig,
    SmartVmError, VmState,
};
use smartvm_testkit::Tap;
use smartvm_testkit::tiny_guest::TinyGuest;

use crate::devices::{limiter, with_devices};
use crate::support::{Bench, drive, whole};

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// Every live call with values that are sound in themselves.
async fn every_live_call(vm: &MicroVm, bench: &Bench, tap: &Tap) -> Vec<SmartVmError> {
    let disk = bench.file("disk");
    let nic = NetworkInterfaceConfig {
        iface_id: "eth1".into(),
        host_dev_name: Some(tap.name().into()),
        ..NetworkInterfaceConfig::default()
    };
    let pmem = PmemConfig { id: "p".into(), path_on_host: disk.clone(), ..PmemConfig::default() };
    [
        vm.update_drive("data", DriveUpdate::default()).await,
        vm.add_drive(drive("more", &disk)).await,
        vm.remove_drive("data").await,
        vm.update_pmem("p", &limiter(1)).await,
        vm.add_pmem(pmem).await,
        vm.remove_pmem("p").await,
        vm.update_network_interface("eth0", NetworkInterfaceUpdate::default()).await,
        vm.add_network_interface(&nic).await,
        vm.remove_network_interface("eth0").await,
        vm.set_firewall("eth0", None).await.map(drop),
        vm.update_balloon(1).await,
        vm.update_balloon_statistics(2).await,
        vm.start_balloon_hinting(None).await,
        vm.stop_balloon_hinting().await,
        vm.update_memory_hotplug(128).await,
    ]
    .into_iter()
    .filter_map(Result::err)
    .collect()
}

#[tokio::test]
async fn live_changes_need_a_guest_that_was_started() {
    let (tap, bench) = (Tap::new(), Bench::new());
    let vm = bench.smartvm.create_vm(&with_devices(&bench, &tap)).unwrap();
    for state in [VmState::Created, VmState::Stopped] {
        if state == VmState::Stopped {
            vm.start().await.unwrap();
            vm.kill().await.unwrap();
        }
        let refused = every_live_call(&vm, &bench, &tap).await;
        assert_eq!(refused.len(), 15, "{refused:?}");
        for error in refused {
            assert_eq!(error.code(), "INVALID_STATE");
            let text = error.to_string();
            let rest = format!("of a VM that is {state}; allowed when running or paused");
            assert!(text.starts_with("cannot ") && text.ends_with(&rest), "{text}");
        }
        let data = object(json!({}));
        for error in [
            vm.set_metadata(data.clone()).await.unwrap_err(),
            vm.update_metadata(data).await.unwrap_err(),
            vm.get_metadata().await.unwrap_err(),
            vm.vm_config().await.unwrap_err(),
            vm.balloon().await.unwrap_err(),
            vm.balloon_statistics().await.unwrap_err(),
            vm.balloon_hinting_status().await.unwrap_err(),
            vm.memory_hotplug().await.unwrap_err(),
        ] {
            assert_eq!(error.code(), "NO_CLIENT", "{error}");
        }
    }
    vm.cleanup().await.unwrap();
}

#[tokio::test]
async fn a_drive_gets_another_content_under_the_name_that_it_had() {
    let (tap, bench) = (Tap::new(), Bench::new());
    let vm = bench.smartvm.create_vm(&with_devices(&bench, &tap)).unwrap();
    vm.start().await.unwrap();
    let name = vm.runtime_dir().join("drives/data-disk");
    let other = bench.file("other");
    fs_err::write(&other, [9; 8192]).unwrap();
    let swap = |ephemeral| DriveUpdate {
        path_on_host: Some(other.clone()),
        ephemeral,
        rate_limiter: Some(limiter(2 << 20)),
    };
    vm.update_drive("data", swap(None)).await.unwrap();
    assert!(!name.is_symlink(), "a private copy takes the place of one");
    assert_eq!(fs_err::read(&name).unwrap(), [9; 8192]);
    let known = vm.vm_config().await.unwrap();
    assert_eq!(known.drives[0].rate_limiter.unwrap().bandwidth.unwrap().size, 2 << 20);

    vm.pause().await.unwrap();
    vm.update_drive("data", swap(Some(false))).await.unwrap();
    assert_eq!(fs_err::read_link(&name).unwrap(), other);
    vm.resume().await.unwrap();

    let files: Vec<_> = fs_err::read_dir(vm.runtime_dir().join("drives")).unwrap().collect();
    assert_eq!(files.len(), 1, "the former contents are gone: {files:?}");
    vm.cleanup().await.unwrap();
    assert_eq!(fs_err::read(&other).unwrap(), [9; 8192]);
}

#[tokio::test]
async fn a_refused_change_leaves_everything_as_it_was() {
    let (tap, bench) = (Tap::new(), Bench::new());
    let vm = bench.smartvm.create_vm(&with_devices(&bench, &tap)).unwrap();
    vm.start().await.unwrap();
    let dir = vm.runtime_dir().join("drives");
    let path =
        |path: &str| DriveUpdate { path_on_host: Some(bench.file(path)), ..DriveUpdate::default() };
    let missing = vm.update_drive("data", path("missing")).await.unwrap_err();
    assert_eq!(missing.code(), "DRIVE_UNUSABLE", "{missing}");
    let nobody = vm.update_drive("nobody", path("disk")).await.unwrap_err();
    assert_eq!(nobody.code(), "NO_SUCH_DEVICE", "{nobody}");
    let bad_id = vm.update_drive("no-id", path("disk")).await.unwrap_err();
    assert_eq!(bad_id.code(), "INVALID_CONFIG", "{bad_id}");
    let limits = DriveUpdate { rate_limiter: Some(limiter(0)), ..DriveUpdate::default() };
    assert_eq!(vm.update_drive("data", limits).await.unwrap_err().code(), "INVALID_CONFIG");
    let update = NetworkInterfaceUpdate::default();
    let unknown = vm.update_network_interface("eth9", update).await.unwrap_err();
    assert_eq!(unknown.code(), "API_REFUSED", "{unknown}");
    let large = vm.update_balloon(33).await.unwrap_err();
    assert!(large.to_string().contains("amountMib must be <="), "{large}");
    let data = object(json!({ "a": "x".repeat(51200) }));
    assert_eq!(vm.set_metadata(data).await.unwrap_err().code(), "INVALID_CONFIG");
    let root = DriveConfig { is_root_device: true, ..drive("r", &bench.file("disk")) };
    assert_eq!(vm.add_drive(root).await.unwrap_err().code(), "INVALID_CONFIG");

    assert_eq!(fs_err::read(dir.join("data-disk")).unwrap(), [7; 4096]);
    assert_eq!(fs_err::read_dir(&dir).unwrap().count(), 1);
    assert_eq!(vm.state(), VmState::Running);
    vm.cleanup().await.unwrap();
}

#[tokio::test]
async fn limits_and_the_balloon_change_while_the_guest_runs() {
    let (tap, bench) = (Tap::new(), Bench::new());
    let vm = bench.smartvm.create_vm(&with_devices(&bench, &tap)).unwrap();
    vm.start().await.unwrap();
    let update = NetworkInterfaceUpdate {
        rx_rate_limiter: Some(limiter(5 << 20)),
        tx_rate_limiter: Some(limiter(6 << 20)),
    };
    vm.update_network_interface("eth0", update).await.unwrap();
    let known = vm.vm_config().await.unwrap();
    let eth0 = &known.network_interfaces[0];
    assert_eq!(eth0.rx_rate_limiter.unwrap().bandwidth.unwrap().size, 5 << 20);
    assert_eq!(eth0.tx_rate_limiter.unwrap().bandwidth.unwrap().size, 6 << 20);

    assert_eq!(vm.balloon().await.unwrap().amount_mib, 0);
    // This guest has no driver, and Firecracker will not wait for one.
    for refused in [
        vm.update_balloon(8).await.unwrap_err(),
        vm.update_balloon_statistics(0).await.unwrap_err(),
    ] {
        assert_eq!(refused.code(), "API_REFUSED", "{refused}");
    }
    vm.cleanup().await.unwrap();
}

#[tokio::test]
async fn metadata_is_set_merged_and_read() {
    let (tap, bench) = (Tap::new(), Bench::new());
    let vm = bench.smartvm.create_vm(&with_devices(&bench, &tap)).unwrap();
    vm.start().await.unwrap();
    vm.update_metadata(object(json!({ "role": null, "tags": { "b": "2" } }))).await.unwrap();
    assert_eq!(vm.get_metadata().await.unwrap(), json!({ "tags": { "a": "1", "b": "2" } }));
    vm.set_metadata(object(json!({ "only": "this" }))).await.unwrap();
    assert_eq!(vm.get_metadata().await.unwrap(), json!({ "only": "this" }));
    vm.pause().await.unwrap();
    vm.update_metadata(object(json!({ "and": "that" }))).await.unwrap();
    assert_eq!(vm.get_metadata().await.unwrap(), json!({ "only": "this", "and": "that" }));
    vm.cleanup().await.unwrap();

    let vm = bench.started(&TinyGuest::halts()).await;
    let refused = vm.update_metadata(object(json!({ "a": "1" }))).await.unwrap_err();
    assert_eq!(refused.code(), "API_REFUSED", "{}", whole(&refused));
    vm.cleanup().await.unwrap();
}

#[tokio::test]
async fn a_kill_interrupts_a_change_and_leaves_nothing() {
    let (tap, bench) = (Tap::new(), Bench::new());
    let vm = bench.smartvm.create_vm(&with_devices(&bench, &tap)).unwrap();
    vm.start().await.unwrap();
    let large = bench.file("large");
    fs_err::write(&large, vec![1; 64 << 20]).unwrap();
    let update = DriveUpdate { path_on_host: Some(large), ..DriveUpdate::default() };
    let (changed, killed) = tokio::join!(biased; vm.update_drive("data", update), vm.kill());
    killed.unwrap();
    if let Err(error) = changed {
        assert!(["INTERRUPTED", "INVALID_STATE"].contains(&error.code()), "{error}");
    }
    assert_eq!(vm.state(), VmState::Stopped);
    vm.cleanup().await.unwrap();
    assert!(!vm.runtime_dir().exists());
}
