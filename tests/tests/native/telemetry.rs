//! Metrics and the log.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use smartvm::firecracker::api::LogLevel;
use smartvm::firecracker::{MetricKind, Severity};
use smartvm::{JailMode, LoggerConfig, MicroVm, VmConfig};
use smartvm_testkit::tiny_guest::TinyGuest;

use crate::support::Bench;

pub(super) const DEADLINE: Duration = Duration::from_secs(20);

pub(super) async fn started(bench: &Bench, config: &VmConfig) -> MicroVm {
    let vm = bench.smartvm.create_vm(config).unwrap();
    vm.start().await.unwrap();
    vm
}

/// Waits until the guest has printed that many bytes.
pub(super) async fn printed(vm: &MicroVm, wanted: u64) {
    let mut reader = vm.console().unwrap().reader();
    let mut seen = 0;
    while seen < wanted {
        let chunk = tokio::time::timeout(DEADLINE * 6, reader.next()).await.unwrap().unwrap();
        seen += chunk.lost + chunk.bytes.len() as u64;
    }
}

#[tokio::test]
async fn counters_add_up_over_flushes() {
    let bench = Bench::new();
    let vm = bench.vm(&TinyGuest::floods());
    assert_eq!(vm.metrics().unwrap_err().code(), "NO_CLIENT");
    assert_eq!(vm.flush_metrics().await.unwrap_err().code(), "NO_CLIENT");
    vm.start().await.unwrap();
    printed(&vm, 1000).await;
    let first = vm.flush_metrics().await.unwrap();
    // The last byte is counted after we can read it.
    assert!(first.get("uart.write_count") >= Some(999));
    assert_eq!(first.get("put_api_requests.boot_source_count"), Some(1));
    printed(&vm, 100_000).await;
    let second = vm.flush_metrics().await.unwrap();
    for (name, metric) in first.iter().filter(|(_, metric)| metric.kind == MetricKind::Counter) {
        assert!(second.get(name).unwrap() >= metric.value, "{name}");
    }
    assert!(second.get("uart.write_count") >= Some(99_999));
    assert_eq!(second.get("put_api_requests.actions_count"), Some(3));
    // At boot, and twice when asked.
    assert_eq!((second.flushes, second.damaged_lines), (3, 0));
    assert_eq!(vm.metrics().unwrap(), second);
    assert!(second.timestamp_ms > first.timestamp_ms);
    vm.kill().await.unwrap();
    assert!(vm.metrics().unwrap().flushes >= 3, "they stay");
    assert_eq!(vm.flush_metrics().await.unwrap_err().code(), "NO_CLIENT");
    vm.cleanup().await.unwrap();
}

#[tokio::test]
async fn pipes_whose_names_are_gone_go_on() {
    let bench = Bench::new();
    let vm = bench.started(&TinyGuest::halts()).await;
    for name in ["metrics.fifo", "log.fifo"] {
        fs_err::remove_file(vm.runtime_dir().join(name)).unwrap();
    }
    assert_eq!(vm.flush_metrics().await.unwrap().flushes, 2);
    vm.cleanup().await.unwrap();
}

#[tokio::test]
async fn the_text_for_prometheus_names_vm_and_device() {
    let bench = Bench::new();
    let image = bench.file("disk.img");
    fs_err::write(&image, [0; 4096]).unwrap();
    let mut config = bench.config(&TinyGuest::halts());
    config.id = Some("web-1".into());
    config.drives.push(crate::support::drive("data", &image));
    let vm = started(&bench, &config).await;
    let text = vm.flush_metrics().await.unwrap().to_prometheus("web-1");
    assert!(
        text.contains("smartvm_block_read_bytes_total{vm=\"web-1\",device=\"data\"} 0\n"),
        "{text}"
    );
    vm.cleanup().await.unwrap();
}

#[tokio::test]
async fn the_log_is_taken_apart_and_copied() {
    let bench = Bench::new();
    let mut config = bench.config(&TinyGuest::halts());
    let path = bench.file("fc.log");
    config.logger = Some(LoggerConfig {
        log_path: Some(path.clone()),
        level: Some(LogLevel::Info),
        show_log_origin: Some(true),
        ..LoggerConfig::default()
    });
    let vm = started(&bench, &config).await;
    vm.kill().await.unwrap();
    let lines = vm.firecracker_log().unwrap().lines();
    let started = lines.iter().find(|line| line.message.contains("InstanceStart")).unwrap();
    assert_eq!(started.level, Some(Severity::Info));
    assert_eq!(started.thread.as_deref(), Some("fc_api"));
    assert!(started.origin.as_deref().unwrap().contains(".rs:"));
    let text = fs_err::read_to_string(&path).unwrap();
    assert!(text.contains("InstanceStart") && !text.contains(":INFO:"), "{text}");
    assert_eq!(fs_err::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    vm.cleanup().await.unwrap();
}

#[tokio::test]
async fn a_jailed_firecracker_writes_the_same_ways() {
    let bench = Bench::with(|options| options.jail = JailMode::Required);
    let mut config = bench.config(&TinyGuest::prints("from a jail\n"));
    config.console_file = Some(bench.file("console.log"));
    config.logger = Some(LoggerConfig {
        log_path: Some(bench.file("fc.log")),
        level: Some(LogLevel::Info),
        ..LoggerConfig::default()
    });
    let vm = started(&bench, &config).await;
    printed(&vm, 12).await;
    assert_eq!(vm.flush_metrics().await.unwrap().flushes, 2);
    vm.kill().await.unwrap();
    let lines = vm.firecracker_log().unwrap().lines();
    assert!(lines.iter().any(|line| line.message.contains("FlushMetrics")), "{lines:?}");
    assert!(fs_err::read_to_string(bench.file("fc.log")).unwrap().contains("InstanceStart"));
    assert_eq!(fs_err::read_to_string(bench.file("console.log")).unwrap(), "from a jail\n");
    vm.cleanup().await.unwrap();
}
