//! What a jailed Firecracker is, and what it sees.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use smartvm::{
    Confinement, JailConfig, JailMode, NetworkInterfaceConfig, NotJailed, ResourceLimitsConfig,
    VmState,
};
use smartvm_testkit::tiny_guest::TinyGuest;

use super::{Jailed, bench, jails, names, started};
use crate::support::{Bench, whole};

#[tokio::test]
async fn it_is_nobody_else_and_may_nothing() {
    let bench = bench();
    let jailed = started(&bench).await;
    let four = |id: u32| format!("{id}\t{id}\t{id}\t{id}");
    assert_eq!(jailed.status("Uid"), four(jailed.uid));
    assert_eq!(jailed.status("Gid"), four(jailed.gid));
    assert_eq!(jailed.status("Groups").trim(), "");
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(jailed.status(set), "0000000000000000", "{set}");
    }
    assert_eq!(jailed.status("NoNewPrivs"), "1");
    let tasks = fs_err::read_dir(jailed.proc("task")).unwrap();
    for task in tasks {
        let status = fs_err::read_to_string(task.unwrap().path().join("status")).unwrap();
        assert!(status.contains("Seccomp:\t2"), "a thread without a filter: {status}");
    }
    jailed.vm.cleanup().await.unwrap();
}

#[tokio::test]
async fn each_limit_that_nobody_asked_for_is_in_force_or_told_to_be_missing() {
    let bench = bench();
    let vm = bench.vm(&TinyGuest::halts());
    let report = vm.start().await.unwrap();
    let Some(Confinement::Jailed { cgroup, limits, .. }) = report.confinement else {
        panic!("not jailed: {report:?}");
    };
    let force = &limits.in_force;
    let limited = [
        ("cpu", force.cpu_max_percent.is_some() && force.cpu_weight.is_some()),
        ("io", force.io_weight.is_some()),
        ("memory", force.memory_max_mib.is_some()),
        ("pids", force.pids_max.is_some()),
    ];
    for (controller, is_limited) in limited {
        assert_ne!(is_limited, limits.missing.contains(&controller), "{controller}: {limits:?}");
    }
    assert_eq!(limits.missing.is_empty(), limits.reason.is_none(), "{limits:?}");
    if let Some(cgroup) = &cgroup {
        let inside = fs_err::read_to_string(cgroup.join("cgroup.procs")).unwrap();
        assert_eq!(inside.trim(), vm.process_id().unwrap().to_string());
    }
    assert_eq!(cgroup.is_none(), limited.iter().all(|(_, is_limited)| !is_limited));
    vm.cleanup().await.unwrap();
    assert!(cgroup.is_none_or(|cgroup| !cgroup.exists()));
}

#[tokio::test]
async fn it_sees_what_it_was_given_and_no_process_of_the_host() {
    let bench = bench();
    let jailed = started(&bench).await;
    let seen = names(&jailed.proc("root"));
    let declared = [
        "dev",
        "firecracker",
        "firecracker.pid",
        "firecracker.sock",
        "kernel",
        "log.fifo",
        "metrics.fifo",
        "run",
        "stderr.fifo",
    ];
    assert_eq!(seen, declared.map(str::to_owned).into());
    let sees = |name: &str| fs_err::metadata(jailed.proc(name)).unwrap().ino();
    assert_eq!((sees("root"), sees("cwd")), (sees("cwd"), inode(&jailed.root)));
    let own = fs_err::read_link("/proc/self/ns/pid").unwrap();
    assert_ne!(fs_err::read_link(jailed.proc("ns/pid")).unwrap(), own);
    // Its number here, and there, where only its guard is before it.
    assert_eq!(jailed.status("NSpid"), format!("{}\t2", jailed.pid));
    jailed.vm.cleanup().await.unwrap();
}

fn inode(path: &Path) -> u64 {
    fs_err::metadata(path).unwrap().ino()
}

#[tokio::test]
async fn its_root_directory_is_ours_and_what_it_shares_stays_as_it_was() {
    let bench = bench();
    let config = bench.config(&TinyGuest::halts());
    let kernel = config.boot_source.kernel_image_path.clone();
    let before = fs_err::metadata(&kernel).unwrap();
    let jailed = Jailed::start(bench.smartvm.create_vm(&config).unwrap()).await;
    let root = fs_err::metadata(&jailed.root).unwrap();
    assert_eq!((root.uid(), root.gid(), root.mode() & 0o7777), (0, jailed.gid, 0o1770));
    assert_eq!(inode(&jailed.proc("root/kernel")), inode(&kernel), "shared, not copied");
    jailed.vm.cleanup().await.unwrap();
    assert_eq!(jails(&bench).len(), 0);
    let after = fs_err::metadata(&kernel).unwrap();
    assert_eq!((after.uid(), after.mode() & 0o7777), (0, 0o644));
    let change = |found: &std::fs::Metadata| (found.ctime(), found.ctime_nsec());
    assert_eq!(change(&after), change(&before), "who has hashed it need not hash it again");
}

#[tokio::test]
async fn it_starts_pauses_resumes_and_stops_as_any_other() {
    let bench = bench();
    let jailed = started(&bench).await;
    let vm = &jailed.vm;
    assert_eq!(vm.version().await.unwrap().to_string(), "1.12.1");
    vm.pause().await.unwrap();
    assert_eq!(vm.state(), VmState::Paused);
    vm.resume().await.unwrap();
    let stop = vm.stop_within(std::time::Duration::ZERO).await.unwrap();
    assert_eq!(stop.ended_by, "SIGTERM", "it is not the first process of its namespace");
    vm.cleanup().await.unwrap();
    assert_eq!((jails(&bench).len(), bench.vm_dirs().len()), (0, 0));
}

#[tokio::test]
async fn its_console_and_its_log_come_out_of_the_jail() {
    let bench = bench();
    let vm = bench.vm(&TinyGuest::prints_then_resets("from a jail\n"));
    let jailed = Jailed::start(vm).await;
    let console = jailed.vm.console().unwrap();
    let end = jailed.vm.wait().await.unwrap();
    assert_eq!(end.exit.unwrap().code, Some(0));
    assert_eq!(console.tail(64), b"from a jail\n");
    jailed.vm.cleanup().await.unwrap();

    let jailed = started(&bench).await;
    let pid = Pid::from_raw(jailed.pid.try_into().unwrap()).unwrap();
    // It says so in its log before it ends.
    kill_process(pid, Signal::SEGV).unwrap();
    let exit = jailed.vm.wait().await.unwrap().exit.unwrap();
    assert!(exit.output.contains("signal 11"), "{exit}: {}", exit.output);
}

#[tokio::test]
async fn what_the_jailer_says_is_told_when_it_fails() {
    let bench = bench();
    let mut config = bench.config(&TinyGuest::halts());
    config.jail.netns = Some(bench.file("no-namespace"));
    let vm = bench.smartvm.create_vm(&config).unwrap();
    let error = vm.start().await.unwrap_err();
    assert_eq!(error.code(), "VMM_EXITED", "{}", whole(&error));
    let output = &error.process_exit().unwrap().output;
    assert!(output.contains("no-namespace"), "{output}");
    assert_eq!((jails(&bench).len(), bench.vm_dirs().len()), (0, 0));
}

#[tokio::test]
async fn limits_of_the_process_are_set() {
    let bench = bench();
    let mut config = bench.config(&TinyGuest::halts());
    config.jail.resource_limits = ResourceLimitsConfig { fsize: Some(1 << 20), no_file: Some(100) };
    let jailed = Jailed::start(bench.smartvm.create_vm(&config).unwrap()).await;
    let limits = fs_err::read_to_string(jailed.proc("limits")).unwrap();
    let limit = |name: &str| {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(limit("Max open files"), ["100", "100"]);
    assert_eq!(limit("Max file size"), ["1048576", "1048576"]);
    jailed.vm.cleanup().await.unwrap();
}

#[tokio::test]
async fn whether_it_is_jailed_is_said_and_what_cannot_be_is_an_error() {
    let bench = Bench::new();
    let mut config = bench.config(&TinyGuest::halts());
    let vm = bench.smartvm.create_vm(&config).unwrap();
    let report = vm.start().await.unwrap();
    let plain = Confinement::NotJailed { reason: NotJailed::TurnedOff };
    assert_eq!(report.confinement, Some(plain));
    vm.cleanup().await.unwrap();

    config.jail = JailConfig { netns: Some("/run/netns/x".into()), ..JailConfig::default() };
    let vm = bench.smartvm.create_vm(&config).unwrap();
    assert_eq!(vm.start().await.unwrap_err().code(), "JAIL_UNAVAILABLE");

    let bench = Bench::with(|options| options.jail = JailMode::Required);
    let mut config = bench.config(&TinyGuest::halts());
    config.jail.enabled = Some(false);
    let vm = bench.smartvm.create_vm(&config).unwrap();
    assert_eq!(vm.start().await.unwrap_err().code(), "JAIL_REQUIRED");
}

/// A network namespace of this test, with one TAP in it.
struct Netns {
    name: String,
}

impl Netns {
    fn new() -> Self {
        let name = format!("svtest{}", std::process::id());
        ip(&["netns", "add", &name]);
        let netns = Self { name };
        ip(&["-n", &netns.name, "tuntap", "add", "tap0", "mode", "tap"]);
        ip(&["-n", &netns.name, "link", "set", "tap0", "up"]);
        netns
    }

    fn path(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.name)
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        ip(&["netns", "del", &self.name]);
    }
}

fn ip(args: &[&str]) -> String {
    let done = Command::new("ip").args(args).output().unwrap();
    assert!(done.status.success(), "ip {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

#[tokio::test]
async fn it_uses_the_devices_of_the_network_namespace_that_it_is_given() {
    let (bench, netns) = (bench(), Netns::new());
    let mut config = bench.config(&TinyGuest::halts());
    let tap = |name: &str| NetworkInterfaceConfig {
        iface_id: "eth0".into(),
        host_dev_name: Some(name.into()),
        ..NetworkInterfaceConfig::default()
    };
    config.jail.netns = Some(netns.path());
    config.network_interfaces = vec![tap("tap1")];
    let vm = bench.smartvm.create_vm(&config).unwrap();
    let error = vm.start().await.unwrap_err();
    assert_eq!(error.code(), "TAP_UNUSABLE", "{error}");
    assert!(error.to_string().ends_with("has no device tap1"), "{error}");
    vm.cleanup().await.unwrap();

    config.network_interfaces = vec![tap("tap0")];
    let carrier = || ip(&["-n", &netns.name, "link", "show", "tap0"]);
    assert!(carrier().contains("NO-CARRIER"), "{}", carrier());
    let jailed = Jailed::start(bench.smartvm.create_vm(&config).unwrap()).await;
    assert_eq!(inode(&jailed.proc("ns/net")), inode(&netns.path()));
    assert_ne!(inode(&jailed.proc("ns/net")), inode(Path::new("/proc/self/ns/net")));
    assert!(carrier().contains("LOWER_UP"), "{}", carrier());
    jailed.vm.cleanup().await.unwrap();
    assert!(carrier().contains("NO-CARRIER"), "{}", carrier());
}
