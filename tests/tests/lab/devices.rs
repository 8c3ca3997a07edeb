//! Devices as a Linux guest sees them.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use smartvm::{
    BalloonConfig, DriveConfig, DriveUpdate, EntropyConfig, MmdsConfig, NetworkInterfaceConfig,
    RateLimiterConfig, TokenBucketConfig, VmConfig, VsockConfig,
};
use smartvm_testkit::{Tap, fixtures, vsock_program};

use crate::guest::{DEADLINE, Guest, Lab};

/// The guest's port that its echo listens on, and the host's that it calls.
const GUEST_PORT: u32 = 52;
const HOST_PORT: u32 = 53;

/// Asks the metadata service as its second version wants it: for a token, then with it.
const ASK: &str = r#"#!/bin/sh
request() { printf "$1 HTTP/1.1\r\n$2\r\nAccept: application/json\r\n\r\n" | nc -w 5 169.254.169.254 80; }
token=$(request 'PUT /latest/api/token' 'X-metadata-token-ttl-seconds: 60' | tail -n 1)
request "GET $1" "X-metadata-token: $token" | tail -n 1
"#;

/// What the balloon takes, in MiB.
const TAKEN_MIB: u32 = 64;

/// A drive that holds an archive of these files.
fn archive(dir: &Path, name: &str, files: &[(&str, Vec<u8>)]) -> PathBuf {
    let content = dir.join(format!("{name}.d"));
    fs_err::create_dir(&content).unwrap();
    for (file, bytes) in files {
        fs_err::write(content.join(file), bytes).unwrap();
    }
    let path = dir.join(name);
    let mut tar = Command::new("tar");
    tar.arg("--mode=755").arg("-cf").arg(&path).arg("-C").arg(&content).arg(".");
    assert!(tar.status().unwrap().success());
    path
}

/// A file of so many equal bytes.
fn filled(dir: &Path, name: &str, length: usize, byte: u8) -> PathBuf {
    let path = dir.join(name);
    fs_err::write(&path, vec![byte; length]).unwrap();
    path
}

fn config(lab: &Lab, tap: &Tap) -> VmConfig {
    let tools = [
        ("vsock-echo", vsock_program::echoes(GUEST_PORT)),
        ("vsock-call", vsock_program::calls(HOST_PORT, "a call of the guest\n")),
        ("ask", ASK.as_bytes().to_vec()),
    ];
    let mut config = lab.config(fixtures::rootfs_ext4(), false);
    config.drives.push(DriveConfig {
        drive_id: "tools".into(),
        path_on_host: archive(lab.home.path(), "tools", &tools),
        is_read_only: Some(true),
        ..DriveConfig::default()
    });
    config.drives.push(DriveConfig {
        drive_id: "data".into(),
        path_on_host: filled(lab.home.path(), "first", 1 << 20, b'1'),
        ..DriveConfig::default()
    });
    config.network_interfaces = vec![NetworkInterfaceConfig {
        iface_id: "eth0".into(),
        host_dev_name: Some(tap.name().into()),
        guest_mac: Some("06:00:ac:1f:4d:02".into()),
        ..NetworkInterfaceConfig::default()
    }];
    config.vsock =
        Some(VsockConfig { guest_cid: 3, uds_path: Some(lab.home.path().join("v.sock")) });
    config.balloon =
        Some(BalloonConfig { stats_polling_interval_s: Some(1), ..BalloonConfig::default() });
    config.mmds = Some(MmdsConfig {
        network_interfaces: vec!["eth0".into()],
        data: json!({ "role": "web" }).as_object().cloned(),
        ..MmdsConfig::default()
    });
    config.entropy = Some(EntropyConfig::default());
    config
}

/// Devices of one boot, as a boot takes its time in the emulated host.
#[tokio::test]
async fn a_guest_sees_its_devices() {
    let lab = Lab::new();
    let tap = Tap::new();
    tap.add_address("172.31.77.1/30");
    let mut guest = lab.boot_config(&config(&lab, &tap)).await;
    guest.run("tar xf /dev/vdb -C /bin && ls /bin/ask").await;

    entropy(&mut guest).await;
    network_and_metadata(&mut guest).await;
    vsock(&mut guest, &lab).await;
    balloon(&mut guest).await;
    drives(&mut guest, &lab).await;

    guest.vm.stop_within(DEADLINE).await.unwrap();
    guest.vm.cleanup().await.unwrap();
    assert!(lab.home.path().join("v.sock").symlink_metadata().is_err());
}

async fn entropy(guest: &mut Guest) {
    let sources = guest.run("cat /sys/class/misc/hw_random/rng_available").await;
    assert!(sources.contains("virtio_rng"), "{sources}");
    assert_eq!(guest.run("head -c 16 /dev/hwrng | wc -c").await, "16");
}

async fn network_and_metadata(guest: &mut Guest) {
    let address = guest.run("cat /sys/class/net/eth0/address").await;
    assert_eq!(address, "06:00:ac:1f:4d:02");
    guest.run("ip addr add 172.31.77.2/30 dev eth0; ip link set eth0 up").await;
    guest.run("ip route add 169.254.169.254 dev eth0").await;
    let ping = guest.run("ping -c 1 -W 10 172.31.77.1").await;
    assert!(ping.contains("1 packets received"), "{ping}");

    assert_eq!(guest.run("ask /role").await, "\"web\"");
    let change = json!({ "role": "db", "more": { "deep": "er" } });
    guest.vm.update_metadata(change.as_object().cloned().unwrap()).await.unwrap();
    assert_eq!(guest.run("ask /role").await, "\"db\"");
    assert_eq!(guest.run("ask /more/deep").await, "\"er\"");
}

async fn vsock(guest: &mut Guest, lab: &Lab) {
    guest.run("{ vsock-echo & }").await;
    let path = lab.home.path().join("v.sock");
    // The echo may not listen yet; Firecracker then closes the connection.
    let mut connection = loop {
        let mut connection = UnixStream::connect(&path).unwrap();
        connection.set_read_timeout(Some(DEADLINE)).unwrap();
        connection.write_all(format!("CONNECT {GUEST_PORT}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        BufReader::with_capacity(1, &connection).read_line(&mut answer).unwrap();
        if answer.starts_with("OK ") {
            break connection;
        }
    };
    connection.write_all(b"there and back").unwrap();
    let mut back = [0; 14];
    connection.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"there and back");

    // A connection of the guest arrives at the socket with its port's number.
    let listener =
        UnixListener::bind(guest.vm.runtime_dir().join(format!("vsock.sock_{HOST_PORT}"))).unwrap();
    guest.type_line("vsock-call; echo \"called:$((6 * 7))\"").await;
    let answered = tokio::task::spawn_blocking(move || {
        let (mut call, _) = listener.accept().unwrap();
        let mut said = String::new();
        BufReader::new(&call).read_line(&mut said).unwrap();
        call.write_all(b"an answer of the host\n").unwrap();
        said
    });
    let said = tokio::time::timeout(DEADLINE, answered).await.unwrap().unwrap();
    assert_eq!(said, "a call of the guest\n");
    let printed = guest.expect("called:42").await;
    assert!(printed.contains("an answer of the host"), "{printed}");
}

/// The number that follows `name` in what a command of the guest prints.
async fn number(guest: &mut Guest, command: &str, name: &str) -> u64 {
    let said = guest.run(command).await;
    let after = said.split_once(name).map(|(_, after)| after.trim_start());
    let digits = after.and_then(|after| after.split(|c: char| !c.is_ascii_digit()).next());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("no {name}: {said}"))
}

async fn memory_kib(guest: &mut Guest) -> u64 {
    number(guest, "grep MemTotal: /proc/meminfo", "MemTotal:").await
}

/// The guest has less of its own while the balloon is large, and reports what it has.
async fn balloon(guest: &mut Guest) {
    let whole = memory_kib(guest).await;
    guest.vm.update_balloon(TAKEN_MIB).await.unwrap();
    within(DEADLINE, async {
        while guest.vm.balloon_statistics().await.unwrap().actual_mib != TAKEN_MIB {
            guest.run("true").await;
        }
    })
    .await;
    assert_eq!(memory_kib(guest).await, whole - u64::from(TAKEN_MIB) * 1024);
    guest.vm.update_balloon(0).await.unwrap();
    within(DEADLINE, async { while memory_kib(guest).await != whole {} }).await;
    let statistics = guest.vm.balloon_statistics().await.unwrap();
    assert_eq!((statistics.target_mib, statistics.actual_mib), (0, 0));
    assert!(statistics.total_memory.unwrap() >> 10 <= whole, "{statistics:?}");
    assert!(statistics.free_memory.unwrap() > 0, "{statistics:?}");
}

/// A drive of a running guest gets another content, another size and limits.
async fn drives(guest: &mut Guest, lab: &Lab) {
    const LOOK: &str = "head -c 3 /dev/vdc; echo; echo sectors $(cat /sys/block/vdc/size)";
    assert_eq!(guest.run(LOOK).await, "111\nsectors 2048");
    let update = DriveUpdate {
        path_on_host: Some(filled(lab.home.path(), "second", 2 << 20, b'2')),
        ..DriveUpdate::default()
    };
    guest.vm.update_drive("data", update).await.unwrap();
    within(DEADLINE, async { while guest.run(LOOK).await != "222\nsectors 4096" {} }).await;

    const THROTTLED: &str = "block_data.rate_limiter_throttled_events";
    let throttled = guest.vm.flush_metrics().await.unwrap().get(THROTTLED);
    assert_eq!(throttled, Some(0));
    // Half a MiB a second, which a guest reads faster on any machine.
    let bucket = TokenBucketConfig { size: 256 << 10, refill_time: 500, one_time_burst: None };
    let limits = RateLimiterConfig { bandwidth: Some(bucket), ops: None };
    let update = DriveUpdate { rate_limiter: Some(limits), ..DriveUpdate::default() };
    guest.vm.update_drive("data", update).await.unwrap();
    let read = guest.run("echo 3 > /proc/sys/vm/drop_caches; wc -c < /dev/vdc").await;
    assert_eq!(read, (2 << 20).to_string());
    assert!(guest.vm.flush_metrics().await.unwrap().get(THROTTLED).unwrap() > 0);

    // What the guest writes is its own copy's.
    guest.run("echo changed > /dev/vdc; sync").await;
    assert!(fs_err::read(lab.home.path().join("second")).unwrap().iter().all(|b| *b == b'2'));
}

async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(limit, work).await.expect("the guest acts on it in time")
}
