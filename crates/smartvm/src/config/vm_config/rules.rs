//! Every rule, broken once: what is written, and what is said about it.

use serde_json::{Value, json};

use super::VmConfig;

/// A configuration with every section, which breaks no rule.
fn whole() -> Value {
    json!({
        "id": "whole",
        "bootSource": { "kernelImagePath": "/vmlinux", "bootArgs": "console=ttyS0" },
        "machineConfig": { "vcpuCount": 2, "memSizeMib": 256 },
        "cpuConfig": { "kvmCapabilities": ["!56"] },
        "drives": [{ "driveId": "rootfs", "pathOnHost": "/r", "isRootDevice": true }],
        "pmem": [{ "id": "data", "pathOnHost": "/p" }],
        "networkInterfaces": [
            { "ifaceId": "eth0", "hostDevName": "tap0", "guestMac": "02:00:00:00:00:01", "mtu": 1500,
              "rxRateLimiter": { "bandwidth": { "size": 1, "refillTime": 1 } } },
            { "ifaceId": "eth1", "hostDevName": "tap1", "guestMac": "02:00:00:00:00:02" },
        ],
        "vsock": { "guestCid": 3, "udsPath": "/run/v.sock" },
        "balloon": { "amountMib": 256 },
        "mmds": { "networkInterfaces": ["eth0"], "ipv4Address": "169.254.169.254", "data": { "a": 1 } },
        "entropy": {},
        "serial": {},
        "memoryHotplug": { "totalSizeMib": 128 },
        "logger": { "level": "Debug" },
        "metrics": { "metricsPath": "/m" },
    })
}

/// What is said about [`whole`] with the value at `pointer` replaced.
fn breaches_with(pointer: &str, value: Value) -> Vec<String> {
    let mut json = whole();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match json.pointer_mut(parent).unwrap() {
        Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
        object => object[key] = value,
    }
    match VmConfig::from_json(&json.to_string()).unwrap().validate() {
        Ok(_) => Vec::new(),
        Err(invalid) => invalid.breaches().iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn a_configuration_with_every_section_breaks_no_rule() {
    assert_eq!(breaches_with("/id", json!("whole")), Vec::<String>::new());
}

#[test]
fn every_rule_is_named_with_its_place() {
    let bucket = |size: u64, time: u64| json!({ "ops": { "size": size, "refillTime": time } });
    let no_pci = "bootSource.bootArgs must not say `pci=off` when enablePci is on";
    assert_eq!(
        {
            let mut json = whole();
            json["enablePci"] = json!(true);
            json["bootSource"]["bootArgs"] = json!("quiet pci=off");
            let config = VmConfig::from_json(&json.to_string()).unwrap();
            config.validate().unwrap_err().to_string()
        },
        format!("invalid configuration: {no_pci}")
    );
    for (pointer, value, breach) in [
        ("/bootSource/initrdPath", json!(""), "bootSource.initrdPath must not be empty"),
        ("/machineConfig/hugePages", json!("2M"), ""),
        (
            "/machineConfig",
            json!({ "vcpuCount": 1, "memSizeMib": 257, "hugePages": "Transparent" }),
            "machineConfig.memSizeMib must be even with hugePages",
        ),
        (
            "/machineConfig",
            json!({ "vcpuCount": 3, "memSizeMib": 256, "smt": true }),
            "machineConfig.vcpuCount must be 1 or even when smt is on",
        ),
        (
            "/machineConfig/cpuTemplate",
            json!("None"),
            "machineConfig.cpuTemplate must be absent beside cpuConfig",
        ),
        (
            "/drives/0/rateLimiter",
            bucket(1, u64::MAX / 1_000_000 + 1),
            "drives[0].rateLimiter.ops.refillTime must be <= 18446744073709",
        ),
        (
            "/drives/0/rateLimiter",
            bucket(0, 100),
            "drives[0].rateLimiter.ops must have a size and a refillTime, or 0 for both, which \
             means no limit",
        ),
        ("/drives/0/rateLimiter", bucket(0, 0), ""),
        ("/drives/0/rateLimiter", bucket(u64::MAX, u64::MAX / 1_000_000), ""),
        ("/pmem/0/id", json!("a-b"), "pmem[0].id must be 1 to 64 letters, digits or `_`"),
        ("/pmem/0/pathOnHost", json!(""), "pmem[0].pathOnHost must name a file"),
        (
            "/pmem/0/rootDevice",
            json!(true),
            "pmem must have at most one root device, and none beside a root drive",
        ),
        (
            "/networkInterfaces/0/ifaceId",
            json!("eth 0"),
            "networkInterfaces[0].ifaceId must be 1 to 64 letters, digits or `_`; \
             mmds.networkInterfaces[0] must be the ifaceId of one of networkInterfaces",
        ),
        (
            "/networkInterfaces/1/ifaceId",
            json!("eth0"),
            "networkInterfaces[1].ifaceId must be unique",
        ),
        (
            "/networkInterfaces/1/hostDevName",
            json!("tap0"),
            "networkInterfaces[1].hostDevName must be unique",
        ),
        (
            "/networkInterfaces/0/ipAddress",
            json!("172.30.0.2"),
            "networkInterfaces[0].ipAddress must be absent beside hostDevName: the device is not ours",
        ),
        (
            "/networkInterfaces/1",
            json!({ "ifaceId": "eth1", "ipAddress": "172.30.0" }),
            "networkInterfaces[1].ipAddress must be an IPv4 address",
        ),
        (
            "/networkInterfaces/1",
            json!({ "ifaceId": "eth1", "firewall": { "egress": { "defaultAction": "drop" } } }),
            "networkInterfaces[1].firewall.egress.defaultAction must be `allow` or `deny`",
        ),
        (
            "/networkInterfaces/1",
            json!({ "ifaceId": "eth1", "publishedPorts": ["0:80"] }),
            "networkInterfaces[1].publishedPorts[0] is refused: a published port must be between 1 and \
             65535",
        ),
        (
            "/networkInterfaces/1/hostDevName",
            json!("a-name-of-sixteen"),
            "networkInterfaces[1].hostDevName must be 1 to 15 letters, digits, `_`, `.`, `:` or `-`, \
             the first a letter or digit",
        ),
        (
            "/networkInterfaces/1/guestMac",
            json!("02:00:00:00:00:1"),
            "networkInterfaces[1].guestMac must be six pairs of hex digits with `:` between them",
        ),
        (
            "/networkInterfaces/1/guestMac",
            json!("03:00:00:00:00:01"),
            "networkInterfaces[1].guestMac must be the address of a single device",
        ),
        (
            "/networkInterfaces/0/guestMac",
            json!("02:00:00:00:00:02"),
            "networkInterfaces[1].guestMac must be unique",
        ),
        (
            "/networkInterfaces/0/mtu",
            json!(67),
            "networkInterfaces[0].mtu must be between 68 and 65535",
        ),
        (
            "/networkInterfaces/0/mtu",
            json!(65536),
            "networkInterfaces[0].mtu must be between 68 and 65535",
        ),
        (
            "/networkInterfaces/0/txRateLimiter",
            bucket(5, 0),
            "networkInterfaces[0].txRateLimiter.ops must have a size and a refillTime, or 0 for \
             both, which means no limit",
        ),
        ("/vsock/guestCid", json!(2), "vsock.guestCid must be >= 3"),
        ("/vsock/guestCid", json!(u32::MAX), "vsock.guestCid must be below 4294967295"),
        ("/vsock/udsPath", json!(""), "vsock.udsPath must not be empty"),
        (
            "/vsock/udsPath",
            json!("/".repeat(108)),
            "vsock.udsPath must have at most 107 bytes, as every path of a socket",
        ),
        ("/balloon/amountMib", json!(257), "balloon.amountMib must be <= machineConfig.memSizeMib"),
        (
            "/mmds/networkInterfaces",
            json!([]),
            "mmds.networkInterfaces must name at least one of networkInterfaces",
        ),
        (
            "/mmds/networkInterfaces",
            json!(["eth1", "eth1"]),
            "mmds.networkInterfaces[1] must be unique",
        ),
        (
            "/mmds/ipv4Address",
            json!("169.254.0.1"),
            "mmds.ipv4Address must be an address from 169.254.1.0 to 169.254.254.255",
        ),
        (
            "/mmds/ipv4Address",
            json!("fe80::1"),
            "mmds.ipv4Address must be an address from 169.254.1.0 to 169.254.254.255",
        ),
        (
            "/mmds/data",
            json!({ "a": "x".repeat(51200) }),
            "mmds.data must have at most 51200 bytes",
        ),
        (
            "/entropy/rateLimiter",
            bucket(1, 0),
            "entropy.rateLimiter.ops must have a size and a refillTime, or 0 for both, which means \
             no limit",
        ),
        ("/serial/serialOutPath", json!(""), "serial.serialOutPath must not be empty"),
        (
            "/serial/rateLimiter",
            json!({ "size": 1, "refillTime": u64::MAX }),
            "serial.rateLimiter.refillTime must be <= 18446744073709",
        ),
        (
            "/memoryHotplug/totalSizeMib",
            json!(129),
            "memoryHotplug.totalSizeMib must be a multiple of slotSizeMib and more than 0",
        ),
        ("/logger/logPath", json!(""), "logger.logPath must not be empty"),
        ("/logger/module", json!(""), "logger.module must not be empty"),
        ("/metrics/metricsPath", json!(""), "metrics.metricsPath must not be empty"),
        ("/consoleFile", json!(""), "consoleFile must not be empty"),
        ("/consoleFile", json!("/m"), "consoleFile must not be the log's or the metrics' file"),
        ("/logger/logPath", json!("/m"), "logger.logPath must not be the metrics' file"),
        (
            "/cpuConfig/kvmCapabilities",
            json!(["121", "!", "+1"]),
            "cpuConfig.kvmCapabilities[1] must be a number, or `!` and a number; \
             cpuConfig.kvmCapabilities[2] must be a number, or `!` and a number",
        ),
    ] {
        assert_eq!(breaches_with(pointer, value.clone()).join("; "), breach, "{pointer} {value}");
    }
}

#[test]
fn a_socket_of_a_drive_excludes_what_its_server_decides() {
    assert!(breaches_with("/drives/0", json!({ "driveId": "d", "socket": "/s" })).is_empty());
    let drive = json!({
        "driveId": "d", "socket": "/s", "pathOnHost": "/p", "isReadOnly": false, "ephemeral": true,
        "ioEngine": "Sync", "rateLimiter": {}, "cacheType": "Writeback",
    });
    assert_eq!(
        breaches_with("/drives/0", drive),
        ["pathOnHost", "isReadOnly", "ioEngine", "rateLimiter", "ephemeral"]
            .map(|key| format!("drives[0].{key} must be absent beside socket"))
    );
    assert_eq!(
        breaches_with("/drives/0", json!({ "driveId": "d", "socket": "" })),
        ["drives[0].socket must not be empty"]
    );
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_cpu_template_is_checked_value_by_value() {
    let template = json!({
        "cpuidModifiers": [{ "leaf": "0x1", "subleaf": "x", "flags": 0, "modifiers": [
            { "register": "efx", "bitmap": "0b1" }, { "register": "eax", "bitmap": "1" },
        ] }],
        "msr_modifiers": [{ "addr": "0x100000000", "bitmap": "0bx" }],
        "regModifiers": [{ "addr": "0x1", "bitmap": "0b1" }],
        "vcpuFeatures": [{ "index": 0, "bitmap": "0b2" }],
    });
    assert_eq!(
        breaches_with("/cpuConfig", template),
        [
            "cpuConfig.cpuidModifiers[0].subleaf must be a number of 32 bits: hex (0x…), binary \
             (0b…) or decimal",
            "cpuConfig.cpuidModifiers[0].modifiers[0].register must be eax, ebx, ecx or edx",
            "cpuConfig.cpuidModifiers[0].modifiers[1].bitmap must be `0b` and up to 32 of `0`, `1` \
             and `x`",
            "cpuConfig.msrModifiers[0].addr must be a number of 32 bits: hex (0x…), binary (0b…) or \
             decimal",
            "cpuConfig.regModifiers is possible on aarch64 only",
            "cpuConfig.vcpuFeatures is possible on aarch64 only",
            "cpuConfig.vcpuFeatures[0].bitmap must be `0b` and up to 32 of `0`, `1` and `x`",
        ]
    );
}
