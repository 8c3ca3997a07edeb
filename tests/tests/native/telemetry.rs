//! Metrics, the log, and the files that console, log and metrics are copied to.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use smartvm::firecracker::api::LogLevel;
use smartvm::firecracker::{MetricKind, Severity};
use smartvm::{LoggerConfig, MetricsConfig, MicroVm, SmartVmError, VmConfig};
use smartvm_testkit::eventually;
use smartvm_testkit::tiny_guest::TinyGuest;

use crate::support::Bench;

const DEADLINE: Duration = Duration::from_secs(20);

async fn started(bench: &Bench, config: &VmConfig) -> MicroVm {
    let vm = bench.smartvm.create_vm(config).unwrap();
    vm.start().await.unwrap();
    vm
}

/// Waits until the guest has printed that many bytes.
async fn printed(vm: &MicroVm, wanted: u64) {
    let mut reader = vm.console().unwrap().reader();
    let mut seen = 0;
    while seen < wanted {
        let chunk = tokio::time::timeout(DEADLINE * 6, reader.next()).await.unwrap().unwrap();
        seen += chunk.lost + chunk.bytes.len() as u64;
    }
}

fn size(path: &Path) -> u64 {
    fs_err::metadata(path).map_or(0, |file| file.len())
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
    assert!(first.get("uart.write_count").unwrap() >= 1000, "{first:?}");
    assert_eq!(first.get("put_api_requests.boot_source_count"), Some(1));
    printed(&vm, 100_000).await;
    let second = vm.flush_metrics().await.unwrap();
    for (name, metric) in first.iter().filter(|(_, metric)| metric.kind == MetricKind::Counter) {
        assert!(second.get(name).unwrap() >= metric.value, "{name}");
    }
    assert!(second.get("uart.write_count").unwrap() >= 100_000);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_log_lines_costs_bounded_memory_and_disk() {
    let bench = Bench::with(|options| options.output_file_limit = 32 * 1024);
    let mut config = bench.config(&TinyGuest::halts());
    let path = bench.file("fc.log");
    config.logger = Some(LoggerConfig {
        log_path: Some(path.clone()),
        level: Some(LogLevel::Trace),
        show_level: Some(true),
        ..LoggerConfig::default()
    });
    let vm = started(&bench, &config).await;
    // Each call is three lines.
    for _ in 0..1000 {
        vm.info().await.unwrap();
    }
    let missed = vm.flush_metrics().await.unwrap().get("logger.missed_log_count").unwrap();
    vm.kill().await.unwrap();
    let log = vm.firecracker_log().unwrap();
    let seen = log.lines().len() as u64 + log.lost();
    assert!(seen + missed >= 3000, "{seen} seen, {missed} missed");
    assert!(log.lines().len() < 1000);
    let old = bench.file("fc.log.1");
    assert!(size(&path) <= 32 * 1024 && size(&old) <= 32 * 1024 && size(&old) > 0);
    let text = fs_err::read_to_string(&old).unwrap();
    assert!(text.lines().all(|line| line.contains(":INFO] ") || line.contains(":DEBUG] ")));
    vm.cleanup().await.unwrap();
}

#[tokio::test]
async fn metrics_are_copied_as_received() {
    let bench = Bench::new();
    let mut config = bench.config(&TinyGuest::halts());
    let path = bench.file("metrics.json");
    config.metrics =
        Some(MetricsConfig { metrics_path: Some(path.clone()), ..MetricsConfig::default() });
    let vm = started(&bench, &config).await;
    vm.flush_metrics().await.unwrap();
    vm.kill().await.unwrap();
    let text = fs_err::read_to_string(&path).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() >= 2 && lines.iter().all(|line| line["vcpu"].is_object()), "{text}");
    vm.cleanup().await.unwrap();
}

#[tokio::test]
async fn the_console_is_copied_whole() {
    let bench = Bench::new();
    let mut config = bench.config(&TinyGuest::prints_then_resets("first and last words\n"));
    let path = bench.file("console.log");
    config.console_file = Some(path.clone());
    for times in 1..=2 {
        let vm = started(&bench, &config).await;
        vm.wait().await.unwrap();
        let expected = "first and last words\n".repeat(times);
        assert_eq!(fs_err::read_to_string(&path).unwrap(), expected);
        vm.cleanup().await.unwrap();
    }
    assert_eq!(fs_err::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_file_that_may_be_a_trap_is_refused_before_anything_is_made() {
    let bench = Bench::new();
    let victim = bench.file("victim");
    fs_err::write(&victim, "precious").unwrap();
    symlink(&victim, bench.file("link")).unwrap();
    let mut config = bench.config(&TinyGuest::halts());
    for (file, code) in [("link", "OUTPUT_FILE_UNSAFE"), ("no/dir", "OUTPUT_FILE_UNUSABLE")] {
        let path = bench.file(file);
        config.console_file = Some(path);
        let vm = bench.smartvm.create_vm(&config).unwrap();
        let error: SmartVmError = vm.start().await.unwrap_err();
        assert_eq!(error.code(), code);
        assert!(bench.vm_dirs().is_empty());
        vm.cleanup().await.unwrap();
    }
    assert_eq!(fs_err::read_to_string(&victim).unwrap(), "precious");
}

/// A file system of 64 KiB, unmounted again when it is dropped.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn at(path: std::path::PathBuf) -> Self {
        fs_err::create_dir(&path).unwrap();
        mount("tmpfs", &path, "tmpfs", MountFlags::empty(), Some(c"size=64k,mode=0700")).unwrap();
        Self(path)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        unmount(&self.0, UnmountFlags::DETACH).unwrap();
    }
}

#[tokio::test]
async fn a_full_disk_harms_the_copy_and_not_the_vm() {
    let bench = Bench::new();
    let disk = SmallDisk::at(bench.file("disk"));
    let mut config = bench.config(&TinyGuest::floods());
    let path = disk.0.join("console.log");
    config.console_file = Some(path.clone());
    let vm = started(&bench, &config).await;
    has_size(&path, 64 * 1024).await;
    printed(&vm, 200_000).await;
    vm.pause().await.unwrap();
    // Space comes back: the copy goes on.
    fs_err::OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
    vm.resume().await.unwrap();
    has_size(&path, 1).await;
    vm.cleanup().await.unwrap();
}

/// Waits until the file is at least that large.
async fn has_size(path: &Path, wanted: u64) {
    let path = path.to_owned();
    let waiting = move || {
        eventually(DEADLINE, "the file has grown", || (size(&path) >= wanted).then_some(()));
    };
    tokio::task::spawn_blocking(waiting).await.unwrap();
}

#[tokio::test]
async fn a_flooding_guest_costs_bounded_disk_and_nobody_waits_for_a_reader() {
    const LIMIT: u64 = 16 * 1024;
    let bench = Bench::with(|options| options.output_file_limit = LIMIT);
    let mut config = bench.config(&TinyGuest::floods());
    let path = bench.file("console.log");
    config.console_file = Some(path.clone());
    let vm = started(&bench, &config).await;
    let idle = vm.console().unwrap().reader();
    printed(&vm, 6 * LIMIT).await;
    vm.kill().await.unwrap();
    let old = bench.file("console.log.1");
    assert!(size(&path) <= LIMIT && size(&old) <= LIMIT && size(&old) > 0);
    let copy = fs_err::read_to_string(&path).unwrap();
    let console = String::from_utf8(vm.console().unwrap().tail(copy.len())).unwrap();
    assert_eq!(copy, console, "to the last word");
    drop(idle);
    vm.cleanup().await.unwrap();
}
