//! What the fixture's Firecracker 1.12 does not know is refused before anything is made or sent.

use serde_json::{Value, json};
use smartvm::{MicroVm, NetworkInterfaceConfig, PmemConfig, SmartVmError, VmConfig};
use smartvm_testkit::Tap;
use smartvm_testkit::tiny_guest::TinyGuest;

use crate::devices::{limiter, with_devices};
use crate::support::{Bench, drive};

/// The configuration of a sound VM with one more value.
fn with(config: &VmConfig, key: &str, value: Value) -> VmConfig {
    let mut json = serde_json::to_value(config).unwrap();
    json[key] = value;
    VmConfig::from_json(&json.to_string()).unwrap()
}

#[tokio::test]
async fn a_section_that_is_too_new_is_refused_before_anything_is_made() {
    let (tap, bench) = (Tap::new(), Bench::new());
    let disk = bench.file("disk");
    fs_err::write(&disk, [7; 4096]).unwrap();
    let nic = json!([{ "ifaceId": "eth0", "hostDevName": tap.name(), "mtu": 1400 }]);
    let plain = bench.config(&TinyGuest::halts());
    for (key, value, needs) in [
        ("enablePci", json!(true), "enablePci: --enable-pci needs Firecracker 1.13.0"),
        ("networkInterfaces", nic, "networkInterfaces[0]: mtu needs Firecracker 1.16.0"),
        (
            "pmem",
            json!([{ "id": "p", "pathOnHost": disk }]),
            "pmem[0]: PUT /pmem/{id} needs Firecracker 1.14.0",
        ),
        ("serial", json!({}), "serial: PUT /serial needs Firecracker 1.14.0"),
        (
            "memoryHotplug",
            json!({ "totalSizeMib": 128 }),
            "memoryHotplug: PUT /hotplug/memory needs Firecracker 1.14.0",
        ),
        (
            "balloon",
            json!({ "amountMib": 0, "freePageReporting": true }),
            "balloon: free_page_reporting needs Firecracker 1.14.0",
        ),
        (
            "machineConfig",
            json!({ "vcpuCount": 1, "memSizeMib": 32, "hugePages": "Transparent" }),
            "machineConfig: huge_pages: Transparent needs Firecracker 1.17.0",
        ),
    ] {
        let vm = bench.smartvm.create_vm(&with(&plain, key, value)).unwrap();
        let error = vm.start().await.unwrap_err();
        assert_eq!(error.code(), "FIRECRACKER_TOO_OLD", "{error}");
        assert!(error.to_string().ends_with(needs), "{error}");
        assert!(error.hint().is_some());
        assert!(!vm.runtime_dir().exists());
    }
    bench.next_start_works().await;
}

async fn newer_calls(
    vm: &MicroVm,
    bench: &Bench,
    tap: &Tap,
) -> Vec<(Result<(), SmartVmError>, u8)> {
    let disk = bench.file("disk");
    let pmem = PmemConfig { id: "p".into(), path_on_host: disk.clone(), ..PmemConfig::default() };
    let nic = NetworkInterfaceConfig {
        iface_id: "eth1".into(),
        host_dev_name: Some(tap.name().into()),
        ..NetworkInterfaceConfig::default()
    };
    vec![
        (vm.start_balloon_hinting(Some(true)).await, 14),
        (vm.stop_balloon_hinting().await, 14),
        (vm.balloon_hinting_status().await.map(drop), 14),
        (vm.update_memory_hotplug(128).await, 14),
        (vm.memory_hotplug().await.map(drop), 14),
        (vm.update_pmem("p", &limiter(1)).await, 16),
        (vm.add_drive(drive("more", &disk)).await, 16),
        (vm.remove_drive("data").await, 16),
        (vm.add_pmem(pmem).await, 16),
        (vm.remove_pmem("p").await, 16),
        (vm.add_network_interface(&nic).await, 16),
        (vm.remove_network_interface("eth0").await, 16),
    ]
}

#[tokio::test]
async fn a_call_that_is_too_new_is_refused_before_it_is_sent() {
    let (tap, bench) = (Tap::new(), Bench::new());
    let vm = bench.smartvm.create_vm(&with_devices(&bench, &tap)).unwrap();
    vm.start().await.unwrap();
    let before = vm.vm_config().await.unwrap();
    for (done, minor) in newer_calls(&vm, &bench, &tap).await {
        let error = done.unwrap_err();
        assert_eq!(error.code(), "FIRECRACKER_TOO_OLD", "{error}");
        let source = std::error::Error::source(&error).unwrap().to_string();
        let needs = format!("needs Firecracker 1.{minor}.0, and 1.12.1 is running");
        assert!(source.ends_with(&needs), "{source}");
    }
    assert_eq!(vm.vm_config().await.unwrap(), before);
    let files = fs_err::read_dir(vm.runtime_dir().join("drives")).unwrap().count();
    assert_eq!(files, 1, "nothing of the refused drive stays");
    vm.cleanup().await.unwrap();
}
