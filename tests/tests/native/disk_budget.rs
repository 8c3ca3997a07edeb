//! The disk budget of a data directory: of VMs in several processes no two pass that do not fit together.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use smartvm::snapshot::CreateSnapshot;
use smartvm::{DiskLedger, SmartVm};
use smartvm_testkit::tiny_guest::TinyGuest;
use smartvm_testkit::{LoopFs, eventually, fixtures};

use crate::support::{Bench, drive, whole};

const DEADLINE: Duration = Duration::from_secs(20);
const MIB: u64 = 1 << 20;

/// An image of which little is data.
fn sparse(bench: &Bench, name: &str, mib: u64) -> PathBuf {
    let path = bench.file(name);
    let file = fs_err::File::create(&path).unwrap();
    file.set_len(mib * MIB).unwrap();
    std::os::unix::fs::FileExt::write_all_at(file.file(), &[3; 4096], 0).unwrap();
    path
}

fn run(bench: &Bench, id: &str, budget: &str) -> Command {
    let kernel = bench.file("guest");
    TinyGuest::halts().write_to(&kernel).unwrap();
    let mut command = Command::new(fixtures::command());
    command
        .args(["run", "--no-stdin", "--no-jail", "--memory", "32", "--json", "--id", id])
        .args(["--disk-budget", budget, "--kernel"])
        .arg(kernel)
        .arg("--rootfs")
        .arg(bench.file("disk"))
        .arg("--firecracker")
        .arg(fixtures::firecracker())
        .arg("--data-dir")
        .arg(bench.home.data_dir())
        .arg("--runtime-dir")
        .arg(bench.home.runtime_dir())
        .stdin(Stdio::null());
    command
}

/// It is ended with the test, whatever becomes of that.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(bench: &Bench, id: &str, budget: &str) -> Running {
    let mut command = run(bench, id, budget);
    let child = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let socket = bench.home.runtime_dir().join(id).join("control.sock");
    eventually(DEADLINE, "the VM runs", || socket.exists().then_some(()));
    child
}

fn code(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let error: serde_json::Value = serde_json::from_str(&text).expect(&text);
    error["error"]["code"].as_str().expect(&text).to_owned()
}

#[tokio::test]
async fn a_start_beyond_the_budget_is_refused_with_the_figures_and_leaves_nothing() {
    let bench = Bench::with(|options| options.disk_budget = Some(100 * MIB));
    let mut config = bench.config(&TinyGuest::halts());
    config.drives = vec![drive("data", &sparse(&bench, "disk", 60))];
    let first = bench.smartvm.create_vm(&config).unwrap();
    first.start().await.unwrap();
    let second = bench.smartvm.create_vm(&config).unwrap();
    let error = second.start().await.unwrap_err();
    assert_eq!(error.code(), "DISK_BUDGET_EXCEEDED", "{}", whole(&error));
    let text = error.to_string();
    for figure in [60 * MIB, 100 * MIB] {
        assert!(text.contains(&figure.to_string()), "{text}");
    }
    assert_eq!(bench.vm_dirs().len(), 1, "the refused one left its directory");
    first.cleanup().await.unwrap();
    let state = DiskLedger::from(bench.smartvm.options()).state().unwrap();
    assert_eq!(state.promised, 0);
    let third = bench.smartvm.create_vm(&config).unwrap();
    third.start().await.unwrap();
    third.cleanup().await.unwrap();
}

#[tokio::test]
async fn a_snapshot_beyond_the_budget_is_refused_and_the_guest_runs_on() {
    let bench = Bench::with(|options| options.disk_budget = Some(40 * MIB));
    let vm = bench.started(&TinyGuest::halts()).await;
    let error = vm.create_snapshot(CreateSnapshot::default()).await.unwrap_err();
    assert_eq!(error.code(), "DISK_BUDGET_EXCEEDED", "{}", whole(&error));
    assert_eq!(vm.state(), smartvm::VmState::Running);
    assert_eq!(bench.smartvm.snapshots().unwrap().list().unwrap().len(), 0);
    vm.cleanup().await.unwrap();
}

#[test]
fn of_two_commands_that_do_not_fit_together_one_is_refused_and_kill_9_gives_its_share_back() {
    let bench = Bench::new();
    sparse(&bench, "disk", 60);
    let first = start(&bench, "first", "100M");
    let refused = run(&bench, "second", "100M").output().unwrap();
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    assert_eq!(code(&refused), "DISK_BUDGET_EXCEEDED");
    // SIGKILL.
    drop(first);
    drop(start(&bench, "second", "100M"));
    SmartVm::new(bench.smartvm.options().clone()).unwrap();
}

#[test]
fn of_eight_commands_at_once_no_more_run_than_fit() {
    let bench = Bench::new();
    sparse(&bench, "disk", 60);
    let commands: Vec<_> = (0..8)
        .map(|number| {
            let mut command = run(&bench, &format!("vm-{number}"), "150M");
            Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
        })
        .collect();
    let ledger = DiskLedger::new(bench.home.data_dir(), None);
    let mut commands = commands;
    eventually(DEADLINE, "all but two were refused", || {
        let ended = commands.iter_mut().filter_map(|it| it.0.try_wait().unwrap());
        let codes: Vec<_> = ended.map(|status| status.code()).collect();
        assert!(codes.iter().all(|code| *code == Some(4)), "{codes:?}");
        assert!(ledger.state().unwrap().promised <= 120 * MIB);
        (codes.len() == 6).then_some(())
    });
    drop(commands);
    SmartVm::new(bench.smartvm.options().clone()).unwrap();
}

#[test]
fn what_running_guests_may_still_write_is_not_free_for_others() {
    let memory = LoopFs::memory(100 * MIB);
    // What holds the file system goes with the runtime, before it does.
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let runtime = memory.path().join("run");
        fs_err::create_dir(&runtime).unwrap();
        fs_err::set_permissions(&runtime, std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .unwrap();
        let bench = Bench::with(|options| options.runtime_dir = runtime.clone());
        let mut config = bench.config(&TinyGuest::halts());
        config.drives = vec![drive("data", &sparse(&bench, "disk", 60))];
        let first = bench.smartvm.create_vm(&config).unwrap();
        first.start().await.unwrap();
        let error = bench.smartvm.create_vm(&config).unwrap().start().await.unwrap_err();
        assert_eq!(error.code(), "DISK_NO_ROOM", "{}", whole(&error));
        first.cleanup().await.unwrap();
        let third = bench.smartvm.create_vm(&config).unwrap();
        third.start().await.unwrap();
        third.cleanup().await.unwrap();
    });
}

#[test]
fn the_doctor_tells_how_the_budget_stands_and_images_are_refused_when_it_is_used_up() {
    let bench = Bench::new();
    sparse(&bench, "disk", 60);
    let _first = start(&bench, "first", "100M");
    let smartvm = |args: &[&str]| {
        let mut command = Command::new(fixtures::command());
        command.args(args).arg("--json").arg("--data-dir").arg(bench.home.data_dir());
        command.arg("--runtime-dir").arg(bench.home.runtime_dir()).output().unwrap()
    };
    let report = smartvm(&["doctor", "--disk-budget", "100M"]);
    let report: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
    let check = report["checks"].as_array().unwrap().iter().find(|it| it["id"] == "disk-budget");
    let figures = &check.unwrap()["figures"];
    assert_eq!((&figures["promisedMib"], &figures["budgetMib"]), (&60.into(), &100.into()));
    let refused = smartvm(&["rootfs", "create", "new", "--size", "8", "--disk-budget", "60M"]);
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    assert_eq!(code(&refused), "DISK_BUDGET_EXCEEDED");
    drop(_first);
    SmartVm::new(bench.smartvm.options().clone()).unwrap();
}
