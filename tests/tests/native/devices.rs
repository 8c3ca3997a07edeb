//! Every section of a configuration reaches the real Firecracker.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::json;
use smartvm::firecracker::api::{CacheType, MmdsVersion};
use smartvm::{
    BalloonConfig, CpuConfig, EntropyConfig, MmdsConfig, NetworkInterfaceConfig, RateLimiterConfig,
    TokenBucketConfig, VmConfig, VsockConfig,
};
use smartvm_testkit::Tap;
use smartvm_testkit::tiny_guest::TinyGuest;

use crate::support::{Bench, drive, whole};

pub(crate) fn limiter(size: u64) -> RateLimiterConfig {
    let bucket = TokenBucketConfig { size, refill_time: 100, one_time_burst: None };
    RateLimiterConfig { bandwidth: Some(bucket), ops: None }
}

/// A VM with one of every device that the fixture's Firecracker has.
pub(crate) fn with_devices(bench: &Bench, tap: &Tap) -> VmConfig {
    let disk = bench.file("disk");
    fs_err::write(&disk, [7; 4096]).unwrap();
    let mut config = bench.config(&TinyGuest::halts());
    config.drives = vec![drive("data", &disk)];
    config.drives[0].cache_type = Some(CacheType::Writeback);
    config.drives[0].rate_limiter = Some(limiter(1 << 20));
    config.network_interfaces = vec![NetworkInterfaceConfig {
        iface_id: "eth0".into(),
        host_dev_name: Some(tap.name().into()),
        guest_mac: Some("06:00:AC:10:00:02".into()),
        rx_rate_limiter: Some(limiter(1 << 20)),
        ..NetworkInterfaceConfig::default()
    }];
    config.vsock = Some(VsockConfig { guest_cid: 7, uds_path: Some(bench.file("v.sock")) });
    config.balloon = Some(BalloonConfig {
        amount_mib: 0,
        deflate_on_oom: true,
        stats_polling_interval_s: Some(1),
        ..BalloonConfig::default()
    });
    config.mmds = Some(MmdsConfig {
        network_interfaces: vec!["eth0".into()],
        ipv4_address: Some("169.254.170.2".into()),
        data: json!({ "role": "web", "tags": { "a": "1" } }).as_object().cloned(),
        ..MmdsConfig::default()
    });
    config.entropy = Some(EntropyConfig { rate_limiter: Some(limiter(4096)) });
    config.cpu_config = Some(CpuConfig::default());
    config
}

#[tokio::test]
async fn every_section_reaches_firecracker_and_nothing_of_it_stays() {
    let (tap, bench) = (Tap::new(), Bench::new());
    let vm = bench.smartvm.create_vm(&with_devices(&bench, &tap)).unwrap();
    let report = vm.start().await.unwrap();
    assert!(report.steps.iter().any(|(step, _)| *step == "attach devices"));

    let known = vm.vm_config().await.unwrap();
    let data = &known.drives[0];
    assert_eq!(data.path_on_host.as_deref(), Some(Path::new("drives/data-disk")));
    assert_eq!(data.cache_type, Some(CacheType::Writeback));
    assert_eq!(data.rate_limiter.unwrap().bandwidth.unwrap().size, 1 << 20);
    let eth0 = &known.network_interfaces[0];
    assert_eq!(eth0.host_dev_name, tap.name());
    assert_eq!(eth0.guest_mac.unwrap().to_string(), "06:00:ac:10:00:02");
    assert_eq!(eth0.rx_rate_limiter.unwrap().bandwidth.unwrap().size, 1 << 20);
    let vsock = known.vsock.unwrap();
    assert_eq!((vsock.guest_cid.get(), vsock.uds_path.to_str()), (7, Some("vsock.sock")));
    assert_eq!(known.balloon.unwrap().stats_polling_interval_s, Some(1));
    let mmds = known.mmds_config.unwrap();
    assert_eq!(mmds.version, Some(MmdsVersion::V2));
    assert_eq!(mmds.ipv4_address.unwrap().get().to_string(), "169.254.170.2");
    assert_eq!(known.entropy.unwrap().rate_limiter.unwrap().bandwidth.unwrap().size, 4096);
    assert_eq!(vm.get_metadata().await.unwrap(), json!({ "role": "web", "tags": { "a": "1" } }));

    // Firecracker listens behind the user's own path; nobody in this guest does.
    assert_eq!(
        fs_err::read_link(bench.file("v.sock")).unwrap(),
        vm.runtime_dir().join("vsock.sock")
    );
    let mut connection = UnixStream::connect(bench.file("v.sock")).unwrap();
    drop(std::io::Write::write_all(&mut connection, b"CONNECT 52\n"));
    vm.cleanup().await.unwrap();
    let mut answer = String::new();
    drop(connection.read_to_string(&mut answer));
    assert_eq!(answer, "");
    assert!(bench.file("v.sock").symlink_metadata().is_err(), "the link goes with the VM");
    assert_eq!(fs_err::read(bench.file("disk")).unwrap(), [7; 4096]);
}

#[tokio::test]
async fn what_the_host_lacks_is_found_before_anything_is_made() {
    let bench = Bench::new();
    let occupied = bench.file("occupied");
    fs_err::write(&occupied, "somebody's").unwrap();
    let nic = |name: &str| {
        let mut config = bench.config(&TinyGuest::halts());
        config.network_interfaces = vec![NetworkInterfaceConfig {
            iface_id: "eth0".into(),
            host_dev_name: Some(name.into()),
            ..NetworkInterfaceConfig::default()
        }];
        config
    };
    let vsock = |path: &Path| {
        let mut config = bench.config(&TinyGuest::halts());
        config.vsock = Some(VsockConfig { guest_cid: 3, uds_path: Some(path.to_owned()) });
        config
    };
    let mut served = bench.config(&TinyGuest::halts());
    served.drives = vec![drive("data", Path::new(""))];
    served.drives[0].socket = Some(bench.file("no-server"));
    for (config, code, what) in [
        (nic("svt-missing"), "TAP_UNUSABLE", "has no network device svt-missing"),
        (nic("lo"), "TAP_UNUSABLE", "lo is no TAP"),
        (vsock(&occupied), "VSOCK_PATH_UNUSABLE", "something is already"),
        (vsock(&bench.file("none/v.sock")), "VSOCK_PATH_UNUSABLE", "does not exist"),
        (served, "DRIVE_UNUSABLE", "vhost-user server"),
    ] {
        let vm = bench.smartvm.create_vm(&config).unwrap();
        let error = vm.start().await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(whole(&error).contains(what), "{}", whole(&error));
        assert!(!vm.runtime_dir().exists());
    }
    assert_eq!(fs_err::read_to_string(&occupied).unwrap(), "somebody's");
    bench.next_start_works().await;
}

#[tokio::test]
async fn a_device_that_firecracker_refuses_fails_the_start_whole() {
    let (tap, bench) = (Tap::new(), Bench::new());
    let holder = bench.smartvm.create_vm(&with_devices(&bench, &tap)).unwrap();
    holder.start().await.unwrap();
    let mut config = with_devices(&bench, &tap);
    config.vsock = Some(VsockConfig { guest_cid: 3, uds_path: Some(bench.file("other.sock")) });
    let vm = bench.smartvm.create_vm(&config).unwrap();
    let error = vm.start().await.unwrap_err();
    assert_eq!(error.code(), "API_REFUSED", "{error}");
    assert!(whole(&error).contains("cannot attach a network interface"), "{}", whole(&error));
    assert!(!vm.runtime_dir().exists());
    assert!(bench.file("other.sock").symlink_metadata().is_err());
    holder.cleanup().await.unwrap();
}
