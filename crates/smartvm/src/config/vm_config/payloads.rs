//! What Firecracker is told of each section, field by field.

use serde::Serialize;
use serde_json::{Value, json};

use super::VmConfig;
use crate::config::VmSpec;

/// The specification of a sound configuration with this section.
fn spec(key: &str, section: Value) -> VmSpec {
    let mut json = json!({
        "bootSource": { "kernelImagePath": "/vmlinux" },
        "machineConfig": { "vcpuCount": 2, "memSizeMib": 512 },
        "networkInterfaces": [{ "ifaceId": "eth0", "hostDevName": "tap0" }],
    });
    json[key] = section;
    VmConfig::from_json(&json.to_string()).unwrap().validate().unwrap()
}

fn told(payload: impl Serialize) -> Value {
    serde_json::to_value(payload).unwrap()
}

#[test]
fn the_boot_source_has_the_names_that_firecracker_knows_the_files_by() {
    let boot = json!({ "kernelImagePath": "/k", "initrdPath": "/i", "bootArgs": "console=ttyS0" });
    assert_eq!(
        told(spec("bootSource", boot).config().boot_source.to_wire("kernel", "initrd")),
        json!({
            "kernel_image_path": "kernel", "initrd_path": "initrd", "boot_args": "console=ttyS0",
        })
    );
    let boot = json!({ "kernelImagePath": "/k" });
    assert_eq!(
        told(spec("bootSource", boot).config().boot_source.to_wire("kernel", "initrd")),
        json!({ "kernel_image_path": "kernel" })
    );
}

#[test]
fn the_machine_is_told_field_by_field() {
    let machine = json!({
        "vcpuCount": 2, "memSizeMib": 512, "smt": false, "cpuTemplate": "None",
        "trackDirtyPages": true, "hugePages": "2M",
    });
    assert_eq!(
        told(spec("machineConfig", machine).machine),
        json!({
            "vcpu_count": 2, "mem_size_mib": 512, "smt": false, "cpu_template": "None",
            "track_dirty_pages": true, "huge_pages": "2M",
        })
    );
    assert_eq!(
        told(spec("machineConfig", json!({ "vcpuCount": 1, "memSizeMib": 128 })).machine),
        json!({ "vcpu_count": 1, "mem_size_mib": 128 })
    );
}

#[test]
fn a_drive_is_told_field_by_field() {
    let drives = json!([{
        "driveId": "root", "pathOnHost": "/r", "isRootDevice": true, "isReadOnly": true,
        "partuuid": "0eaa91a0-01", "cacheType": "Writeback", "ioEngine": "Async",
        "rateLimiter": {
            "bandwidth": { "size": 1000, "refillTime": 2000, "oneTimeBurst": 3000 },
            "ops": { "size": 10, "refillTime": 20, "oneTimeBurst": 30 },
        },
    }]);
    assert_eq!(
        told(spec("drives", drives).drives()[0].config().to_wire("drives/root-r".into())),
        json!({
            "drive_id": "root", "path_on_host": "drives/root-r", "is_root_device": true,
            "is_read_only": true, "partuuid": "0eaa91a0-01", "cache_type": "Writeback",
            "io_engine": "Async",
            "rate_limiter": {
                "bandwidth": { "size": 1000, "refill_time": 2000, "one_time_burst": 3000 },
                "ops": { "size": 10, "refill_time": 20, "one_time_burst": 30 },
            },
        })
    );
    let drives = json!([{ "driveId": "data", "socket": "/s", "cacheType": "Unsafe" }]);
    assert_eq!(
        told(spec("drives", drives).drives()[0].config().to_wire("drives/data-s".into())),
        json!({
            "drive_id": "data", "socket": "drives/data-s", "is_root_device": false,
            "cache_type": "Unsafe",
        })
    );
}

#[test]
fn a_network_interface_is_told_field_by_field() {
    let interfaces = json!([{
        "ifaceId": "eth0", "hostDevName": "tap0", "guestMac": "02:00:00:00:AA:01", "mtu": 1420,
        "rxRateLimiter": { "bandwidth": { "size": 1, "refillTime": 2 } },
        "txRateLimiter": { "ops": { "size": 3, "refillTime": 4, "oneTimeBurst": 5 } },
    }]);
    assert_eq!(
        told(&spec("networkInterfaces", interfaces).network_interfaces),
        json!([{
            "iface_id": "eth0", "host_dev_name": "tap0", "guest_mac": "02:00:00:00:aa:01",
            "mtu": 1420,
            "rx_rate_limiter": { "bandwidth": { "size": 1, "refill_time": 2 } },
            "tx_rate_limiter": { "ops": { "size": 3, "refill_time": 4, "one_time_burst": 5 } },
        }])
    );
}

#[test]
fn the_vsock_has_a_name_in_the_vms_directory() {
    let vsock = json!({ "guestCid": 3, "udsPath": "/run/user/v.sock" });
    let spec = spec("vsock", vsock);
    let vsock = spec.config().vsock.as_ref().unwrap();
    assert_eq!(told(vsock.to_wire("v.sock")), json!({ "guest_cid": 3, "uds_path": "v.sock" }));
}

#[test]
fn the_balloon_is_told_field_by_field() {
    let balloon = json!({
        "amountMib": 64, "deflateOnOom": true, "statsPollingIntervalS": 5,
        "freePageHinting": true, "freePageReporting": false,
    });
    assert_eq!(
        told(spec("balloon", balloon).balloon),
        json!({
            "amount_mib": 64, "deflate_on_oom": true, "stats_polling_interval_s": 5,
            "free_page_hinting": true, "free_page_reporting": false,
        })
    );
    assert_eq!(
        told(spec("balloon", json!({ "amountMib": 0 })).balloon),
        json!({ "amount_mib": 0, "deflate_on_oom": false })
    );
}

#[test]
fn the_metadata_service_asks_for_a_token_unless_told_otherwise() {
    let mmds = json!({
        "version": "V1", "networkInterfaces": ["eth0"], "ipv4Address": "169.254.170.2",
        "imdsCompat": true, "data": { "a": 1 },
    });
    assert_eq!(
        told(spec("mmds", mmds).mmds),
        json!({
            "version": "V1", "network_interfaces": ["eth0"], "ipv4_address": "169.254.170.2",
            "imds_compat": true,
        })
    );
    assert_eq!(
        told(spec("mmds", json!({ "networkInterfaces": ["eth0"] })).mmds),
        json!({ "version": "V2", "network_interfaces": ["eth0"] })
    );
}

#[test]
fn the_smaller_devices_are_told_field_by_field() {
    let limiter = json!({ "rateLimiter": { "bandwidth": { "size": 1, "refillTime": 2 } } });
    let limited = json!({ "rate_limiter": { "bandwidth": { "size": 1, "refill_time": 2 } } });
    assert_eq!(told(spec("entropy", limiter).entropy), limited);
    assert_eq!(told(spec("entropy", json!({})).entropy), json!({}));

    let serial = json!({ "serialOutPath": "/s", "rateLimiter": { "size": 1, "refillTime": 2 } });
    let serial = spec("serial", serial);
    assert_eq!(
        told(serial.config().serial.as_ref().unwrap().to_wire("serial.out")),
        json!({ "serial_out_path": "serial.out", "rate_limiter": { "size": 1, "refill_time": 2 } })
    );

    let pmem = json!([{
        "id": "p", "pathOnHost": "/p", "rootDevice": true, "readOnly": true,
        "rateLimiter": { "ops": { "size": 1, "refillTime": 2 } },
    }]);
    assert_eq!(
        told(spec("pmem", pmem).config().pmem[0].to_wire("pmem/p".into())),
        json!({
            "id": "p", "path_on_host": "pmem/p", "root_device": true, "read_only": true,
            "rate_limiter": { "ops": { "size": 1, "refill_time": 2 } },
        })
    );

    let hotplug = json!({ "totalSizeMib": 1024, "slotSizeMib": 256, "blockSizeMib": 4 });
    assert_eq!(
        told(spec("memoryHotplug", hotplug).memory_hotplug),
        json!({ "total_size_mib": 1024, "slot_size_mib": 256, "block_size_mib": 4 })
    );
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_cpu_template_is_told_field_by_field() {
    let bits = |bits: usize, last: &str| format!("0b{}{last}", "x".repeat(bits - last.len()));
    let template = json!({
        "kvmCapabilities": ["121", "!56"],
        "cpuidModifiers": [{ "leaf": "0x7", "subleaf": "0", "flags": 1, "modifiers": [
            { "register": "ebx", "bitmap": "0b01" },
        ] }],
        "msrModifiers": [{ "addr": "0x10a", "bitmap": "0b1" }],
    });
    let told = told(spec("cpuConfig", template).cpu_config);
    assert_eq!(told["kvm_capabilities"], json!(["121", "!56"]));
    assert_eq!(
        told["cpuid_modifiers"],
        json!([{ "leaf": "0x7", "subleaf": "0x0", "flags": 1, "modifiers": [
            { "register": "ebx", "bitmap": bits(32, "01") },
        ] }])
    );
    assert_eq!(told["msr_modifiers"], json!([{ "addr": "0x10a", "bitmap": bits(64, "1") }]));
}

/// Whatever is changed in the configuration later, the VM has what it had.
#[test]
fn the_specification_keeps_no_reference_to_the_configuration() {
    let mut config = spec("mmds", json!({ "networkInterfaces": ["eth0"] })).config().clone();
    config.network_interfaces[0].guest_mac = Some("02:00:00:00:00:01".into());
    let spec = config.validate().unwrap();
    config.network_interfaces[0].guest_mac = Some("02:00:00:00:00:02".into());
    config.mmds.as_mut().unwrap().network_interfaces.push("eth1".into());
    assert_eq!(told(&spec.network_interfaces[0])["guest_mac"], "02:00:00:00:00:01");
    assert_eq!(told(&spec.mmds)["network_interfaces"], json!(["eth0"]));
}
