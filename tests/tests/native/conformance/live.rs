//! Every endpoint, before boot, after it and around a snapshot.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use smartvm_firecracker::api::{Drive, Pmem};
use smartvm_firecracker::capability::Method::{Delete, Patch, Put};
use smartvm_testkit::tiny_guest::TinyGuest;
use smartvm_testkit::{TestHome, fixtures};

use super::expected::{ENDPOINTS, FIELDS};
use super::record::Record;
use super::samples::sample;
use super::session::Expect::{self, Accepted, Refused};
use super::session::{Binary, Session};

#[tokio::test]
async fn every_endpoint_and_every_field_is_accepted_or_refused_as_it_should_be() {
    conform(&Binary { path: fixtures::firecracker(), pci: false }).await;
}

#[tokio::test]
#[ignore = "needs a newer Firecracker: SMARTVM_NEWER_FIRECRACKER"]
async fn the_same_holds_of_a_newer_firecracker() {
    conform(&Binary { path: fixtures::newer_firecracker(), pci: true }).await;
}

#[expect(clippy::print_stdout, reason = "the table of what ran is what these tests are for")]
async fn conform(binary: &Binary) {
    let home = TestHome::new();
    let mut record = Record::default();
    let dir = |name: &str| home.path().join(name);

    let mut unbooted = Session::start(binary, dir("unbooted"), &mut record).await;
    values_that_boot_nowhere(&mut unbooted).await;
    unbooted.end().await;

    let mut machine = Session::start(binary, dir("machine"), &mut record).await;
    before_boot(&mut machine).await;
    after_boot(&mut machine).await;
    snapshot(&mut machine).await;
    plug(&mut machine).await;
    let (version, files) = (machine.version.clone(), machine.dir.clone());
    machine.end().await;

    for body in [load_excluded(), load(), load_the_old_way()] {
        drop(fs_err::remove_file(files.join("vsock.sock")));
        let mut restored = Session::start(binary, files.clone(), &mut record).await;
        restore(&mut restored, body).await;
        restored.end().await;
    }

    println!("conformance with Firecracker {version}: {} cases", record.len());
    println!("{}", record.table());
    let endpoints = ENDPOINTS.map(|(method, path, _)| format!("{method} {path}"));
    assert_eq!(record.endpoints(), BTreeSet::from(endpoints), "an endpoint was not tried");
    let tried = record.fields();
    // A refusal's body is no request's; `client` reads it in each refusal above.
    let missing: Vec<String> = FIELDS
        .iter()
        .map(|(schema, name, ..)| format!("{schema}.{name}"))
        .filter(|field| !tried.contains(field) && field != "Error.fault_message")
        .filter(|field| !field.starts_with("MmdsContentsObject"))
        .collect();
    assert_eq!(missing, [""; 0], "these fields were not tried");
}

/// How often a request is refused, or given up: one in 20 killed Firecracker when its connection was
/// closed at once.
const ROUNDS: u32 = 200;

#[tokio::test]
async fn what_firecracker_itself_finds_too_long_is_refused_and_the_next_request_works() {
    let home = TestHome::new();
    let mut record = Record::default();
    let dir = home.path().join("long");
    let binary = Binary { path: fixtures::firecracker(), pci: false };
    let vm = Session::start(&binary, dir, &mut record).await;
    let data = json!({"a": "x".repeat(60_000)});
    let unsent = vm.client.put_mmds(&data).await.unwrap_err();
    assert_eq!(unsent.code(), "API_REQUEST_TOO_LONG");
    // Told that Firecracker takes more, the client leaves it to Firecracker, which does not.
    let trusting = vm.client.clone().with_payload_limit(1 << 20);
    for _ in 0..ROUNDS {
        let refused = trusting.put_mmds(&data).await.unwrap_err();
        assert_eq!(refused.code(), "API_REFUSED", "{refused:?}");
        assert!(refused.to_string().contains("60008"), "{refused}");
        assert_eq!(vm.client.version().await.unwrap(), vm.version);
    }
    vm.end().await;
}

#[tokio::test]
async fn a_request_given_up_at_any_moment_does_firecracker_no_harm() {
    let home = TestHome::new();
    let mut record = Record::default();
    let binary = Binary { path: fixtures::firecracker(), pci: false };
    let vm = Session::start(&binary, home.path().join("hasty"), &mut record).await;
    let data = json!({"a": "x".repeat(40_000)});
    for round in 0..ROUNDS {
        // Every other time while Firecracker stands still, so that the request is given up.
        let stopped = (!round.is_multiple_of(2)).then(|| vm.stand_still());
        let patience = async {
            for _ in 0..round % 8 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            done = vm.client.put_mmds(&data) => done.unwrap(),
            () = patience => {}
        }
        drop(stopped);
        assert_eq!(vm.client.version().await.unwrap(), vm.version);
    }
    vm.end().await;
}

/// The sample of a schema with other values in some fields.
fn with(schema: &str, changes: Value) -> Value {
    let mut value = sample(schema);
    for (name, change) in changes.as_object().unwrap() {
        value[name] = change.clone();
    }
    value
}

/// The sample without some fields, because they exclude others.
fn without(schema: &str, names: &[&str]) -> Value {
    let mut value = sample(schema);
    value.as_object_mut().unwrap().retain(|name, _| !names.contains(&name.as_str()));
    value
}

/// What is checked against the processor, or the host, only when the guest boots.
async fn values_that_boot_nowhere(vm: &mut Session<'_>) {
    file(vm, "kernel", &TinyGuest::halts().to_elf());
    file(vm, "initrd", b"not one");
    let machine = sample("MachineConfiguration");
    vm.write(Put, "/machine-config", "MachineConfiguration", machine, Accepted).await;
    let huge = with("MachineConfiguration", json!({"huge_pages": "Transparent"}));
    if vm.version.minor < 17 {
        let refused = vm.client.request(Put, "/machine-config", Some(&huge)).await.unwrap_err();
        assert_eq!(refused.code(), "FIRECRACKER_TOO_OLD");
    }
    let boot = sample("BootSource");
    vm.write(Put, "/boot-source", "BootSource", boot, Accepted).await;
    // The registers of another architecture are refused by name.
    let x86 = without("CpuConfig", &["reg_modifiers", "vcpu_features"]);
    vm.write(Put, "/cpu-config", "CpuConfig", x86, Accepted).await;
    let arm = without("CpuConfig", &["cpuid_modifiers", "msr_modifiers"]);
    vm.write(Put, "/cpu-config", "CpuConfig", arm, Refused("unknown field `reg_modifiers`")).await;
    // Nobody serves the drive.
    let vhost = without("Drive", &["path_on_host", "is_read_only", "rate_limiter", "io_engine"]);
    vm.write(Put, "/drives/root", "Drive", vhost, Refused("Vhost-user")).await;
    vm.write(Put, "/drives/a-b", "Drive", sample("Drive"), Refused("")).await;
    vm.act(Delete, "/drives/root", Refused("")).await;
    vm.act(Delete, "/pmem/pmem0", Refused("")).await;
    vm.act(Delete, "/network-interfaces/eth0", Refused("")).await;
}

async fn before_boot(vm: &mut Session<'_>) {
    file(vm, "kernel", &TinyGuest::halts().to_elf());
    file(vm, "drive", &[0; 4096]);
    file(vm, "pmem", &[0; 4096]);
    for name in ["log", "metrics", "serial"] {
        file(vm, name, b"");
    }
    vm.read("/version", "FirecrackerVersion", Accepted).await;
    vm.read("/", "InstanceInfo", Accepted).await;
    vm.write(Put, "/logger", "Logger", sample("Logger"), Accepted).await;
    vm.write(Put, "/metrics", "Metrics", sample("Metrics"), Accepted).await;
    let plain = with("MachineConfiguration", json!({"cpu_template": "None", "vcpu_count": 1}));
    vm.write(Put, "/machine-config", "MachineConfiguration", plain.clone(), Accepted).await;
    vm.write(Patch, "/machine-config", "MachineConfiguration", plain, Accepted).await;
    vm.read("/machine-config", "MachineConfiguration", Accepted).await;
    let boot = without("BootSource", &["initrd_path"]);
    vm.write(Put, "/boot-source", "BootSource", boot, Accepted).await;
    vm.write(Put, "/drives/root", "Drive", without("Drive", &["socket"]), Accepted).await;
    // Firecracker makes the device, and it goes with it.
    let tap = format!("svc{}", std::process::id());
    let net = with("NetworkInterface", json!({"host_dev_name": tap}));
    vm.write(Put, "/network-interfaces/eth0", "NetworkInterface", net, Accepted).await;
    vm.write(Put, "/mmds/config", "MmdsConfig", sample("MmdsConfig"), Accepted).await;
    let data = sample("MmdsContentsObject");
    vm.write(Patch, "/mmds", "MmdsContentsObject", data.clone(), Refused("not initialized")).await;
    vm.write(Put, "/mmds", "MmdsContentsObject", data.clone(), Accepted).await;
    vm.write(Patch, "/mmds", "MmdsContentsObject", data, Accepted).await;
    vm.read("/mmds", "MmdsContentsObject", Accepted).await;
    vm.write(Put, "/balloon", "Balloon", sample("Balloon"), Accepted).await;
    vm.read("/balloon", "Balloon", Accepted).await;
    vm.write(Put, "/vsock", "Vsock", sample("Vsock"), Accepted).await;
    vm.write(Put, "/entropy", "EntropyDevice", sample("EntropyDevice"), Accepted).await;
    vm.write(Put, "/serial", "SerialDevice", sample("SerialDevice"), Accepted).await;
    vm.write(Put, "/pmem/pmem0", "Pmem", sample("Pmem"), Accepted).await;
    let memory = sample("MemoryHotplugConfig");
    vm.write(Put, "/hotplug/memory", "MemoryHotplugConfig", memory, Accepted).await;
    vm.read("/vm/config", "FullVmConfiguration", Accepted).await;
    let start = json!({"action_type": "InstanceStart"});
    vm.write(Put, "/actions", "InstanceActionInfo", start, Accepted).await;
}

/// The guest has no drivers, so whatever needs one is refused with that reason.
async fn after_boot(vm: &mut Session<'_>) {
    for action in ["FlushMetrics", "SendCtrlAltDel"] {
        let action = json!({"action_type": action});
        vm.write(Put, "/actions", "InstanceActionInfo", action, Accepted).await;
    }
    vm.write(Patch, "/drives/root", "PartialDrive", sample("PartialDrive"), Accepted).await;
    let net = sample("PartialNetworkInterface");
    vm.write(Patch, "/network-interfaces/eth0", "PartialNetworkInterface", net, Accepted).await;
    vm.write(Patch, "/pmem/pmem0", "PartialPmem", sample("PartialPmem"), Accepted).await;
    let inactive = Refused("activated");
    vm.write(Patch, "/balloon", "BalloonUpdate", sample("BalloonUpdate"), inactive).await;
    vm.read("/balloon/statistics", "BalloonStats", Accepted).await;
    let interval = sample("BalloonStatsUpdate");
    vm.write(Patch, "/balloon/statistics", "BalloonStatsUpdate", interval, Accepted).await;
    let hinting = sample("BalloonStartCmd");
    vm.write(Patch, "/balloon/hinting/start", "BalloonStartCmd", hinting, inactive).await;
    vm.read("/balloon/hinting/status", "BalloonHintingStatus", Accepted).await;
    vm.act(Patch, "/balloon/hinting/stop", inactive).await;
    let size = sample("MemoryHotplugSizeUpdate");
    vm.write(Patch, "/hotplug/memory", "MemoryHotplugSizeUpdate", size, Refused("not active"))
        .await;
    vm.read("/hotplug/memory", "MemoryHotplugStatus", Accepted).await;
    let again = sample("Balloon");
    let too_late = Refused("not supported after starting");
    vm.write(Put, "/balloon", "Balloon", again, too_late).await;
}

/// Devices for the running guest, where this version takes them; it never looks at its bus.
async fn plug(vm: &mut Session<'_>) {
    let drive = Drive::new("plugged".parse().unwrap(), "drive");
    let pmem = Pmem::new("plugged0".parse().unwrap(), "pmem");
    let plugged = [vm.client.hotplug_drive(&drive).await, vm.client.hotplug_pmem(&pmem).await];
    for outcome in plugged {
        match outcome {
            Err(error) if vm.version.minor < 16 => assert_eq!(error.code(), "FIRECRACKER_TOO_OLD"),
            outcome => outcome.unwrap(),
        }
    }
}

async fn snapshot(vm: &mut Session<'_>) {
    vm.write(Patch, "/vm", "Vm", sample("Vm"), Accepted).await;
    let create = sample("SnapshotCreateParams");
    vm.write(Put, "/snapshot/create", "SnapshotCreateParams", create, Accepted).await;
    vm.write(Patch, "/vm", "Vm", json!({"state": "Resumed"}), Accepted).await;
}

/// Says twice where the memory is.
fn load_excluded() -> (Value, Expect) {
    (sample("SnapshotLoadParams"), Refused("mem_file_path"))
}

fn load() -> (Value, Expect) {
    let mut body = without("SnapshotLoadParams", &["mem_file_path", "enable_diff_snapshots"]);
    body["network_overrides"][0]["host_dev_name"] = format!("svr{}", std::process::id()).into();
    (body, Accepted)
}

/// What Firecracker deprecates.
fn load_the_old_way() -> (Value, Expect) {
    let names = ["mem_file_path", "enable_diff_snapshots", "snapshot_path", "resume_vm"];
    let mut body = sample("SnapshotLoadParams");
    body.as_object_mut().unwrap().retain(|name, _| names.contains(&name.as_str()));
    (body, Accepted)
}

async fn restore(vm: &mut Session<'_>, (body, expect): (Value, Expect)) {
    vm.write(Put, "/snapshot/load", "SnapshotLoadParams", body, expect).await;
    if matches!(expect, Accepted) {
        vm.read("/", "InstanceInfo", Accepted).await;
        vm.read("/vm/config", "FullVmConfiguration", Accepted).await;
    }
}

fn file(vm: &Session<'_>, name: &str, content: &[u8]) {
    fs_err::write(vm.dir.join(name), content).unwrap();
}
