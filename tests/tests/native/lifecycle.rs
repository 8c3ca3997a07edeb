//! created → configuring → running ⇄ paused → stopped.

use std::time::Duration;

use smartvm::{Call, EndCause, SmartVmError, VmState};
use smartvm_testkit::tiny_guest::TinyGuest;

use crate::support::{Bench, drive};

#[tokio::test]
async fn a_vm_goes_through_its_whole_life() {
    let bench = Bench::new();
    let vm = bench.vm(&TinyGuest::halts());
    assert_eq!(vm.state(), VmState::Created);
    assert!(!vm.runtime_dir().exists(), "nothing is made before the start");

    let report = vm.start().await.unwrap();
    assert_eq!(vm.state(), VmState::Running);
    assert_eq!(report.steps.last().unwrap().0, "boot");
    assert_eq!(vm.info().await.unwrap().id, vm.id().as_str());
    assert!(vm.socket_path().exists());

    vm.pause().await.unwrap();
    assert_eq!(vm.state(), VmState::Paused);
    vm.resume().await.unwrap();
    assert_eq!(vm.state(), VmState::Running);

    let report = vm.stop_within(Duration::from_millis(50)).await.unwrap();
    assert_eq!(report.ended_by, "SIGTERM", "this guest knows no Ctrl-Alt-Del");
    assert_eq!(vm.state(), VmState::Stopped);
    assert_eq!(vm.wait().await.unwrap().cause, EndCause::Stopped);
    assert!(!vm.socket_path().exists());

    vm.cleanup().await.unwrap();
    assert!(!vm.runtime_dir().exists());
    vm.cleanup().await.unwrap();
    assert_eq!(bench.smartvm.vm_count(), 0);
}

#[tokio::test]
async fn a_guest_that_resets_ends_its_vm() {
    let bench = Bench::new();
    let vm = bench.started(&TinyGuest::prints_then_resets("bye")).await;
    let end = vm.wait().await.unwrap();
    assert_eq!(end.cause, EndCause::GuestEnded);
    assert_eq!(end.exit.unwrap().code, Some(0));
    assert_eq!(vm.state(), VmState::Stopped);
    assert_eq!(vm.console().unwrap().tail(3), b"bye");
    vm.cleanup().await.unwrap();
}

#[tokio::test]
async fn a_guest_that_powers_off_ends_its_vm() {
    for last_words in ["[ 4.2] reboot: Power down\r\n", "[ 4.2] reboot: System halted\r\n"] {
        let bench = Bench::new();
        let vm = bench.started(&TinyGuest::prints(last_words)).await;
        let end = vm.wait().await.unwrap();
        assert_eq!(end.cause, EndCause::PoweredOff);
        assert_eq!(vm.state(), VmState::Stopped);
        vm.cleanup().await.unwrap();
    }
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_guest_that_has_powered_off() {
    let bench = Bench::new();
    let vm = bench.started(&TinyGuest::prints("reboot: Power down\r\n")).await;
    let report = vm.stop_within(Duration::from_secs(60)).await.unwrap();
    assert!(report.took < Duration::from_secs(30), "{report:?}");
    assert!(matches!(vm.wait().await.unwrap().cause, EndCause::Stopped | EndCause::PoweredOff));
    vm.cleanup().await.unwrap();
}

#[tokio::test]
async fn a_guest_that_says_so_and_goes_on_is_not_ended() {
    let bench = Bench::new();
    let vm = bench.started(&TinyGuest::prints("reboot: Power down\r\nlogin: ")).await;
    tokio::time::timeout(Duration::from_secs(4), vm.wait()).await.unwrap_err();
    assert_eq!(vm.state(), VmState::Running);
    vm.cleanup().await.unwrap();
}

#[tokio::test]
async fn a_kernel_that_panicked_is_told_whoever_ended_it() {
    let panic = "[ 1.5] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n";
    let bench = Bench::new();
    let vm = bench.started(&TinyGuest::prints_then_resets(panic)).await;
    assert_eq!(vm.wait().await.unwrap().cause, EndCause::GuestPanicked);
    assert_eq!(vm.state(), VmState::Stopped);
    vm.cleanup().await.unwrap();

    let vm = bench.started(&TinyGuest::prints(panic)).await;
    let mut console = vm.console().unwrap().reader();
    let mut said = Vec::new();
    while !said.ends_with(b"\n") {
        said.extend(console.next().await.unwrap().bytes);
    }
    vm.kill().await.unwrap();
    assert_eq!(vm.wait().await.unwrap().cause, EndCause::GuestPanicked);
    vm.cleanup().await.unwrap();
}

#[tokio::test]
async fn calls_in_the_wrong_state_are_refused_by_name() {
    let bench = Bench::new();
    let vm = bench.vm(&TinyGuest::halts());
    for (refused, call) in [
        (vm.pause().await.unwrap_err(), Call::Pause),
        (vm.resume().await.unwrap_err(), Call::Resume),
        (vm.stop().await.unwrap_err(), Call::Stop),
    ] {
        assert_eq!(refused.code(), "INVALID_STATE");
        let SmartVmError::InvalidState(refused) = refused else { panic!("{refused}") };
        assert_eq!((refused.call, refused.state), (call, VmState::Created));
    }
    assert_eq!(vm.info().await.unwrap_err().code(), "NO_CLIENT");
    assert_eq!(vm.version().await.unwrap_err().code(), "NO_CLIENT");
    assert_eq!(vm.console().unwrap_err().code(), "NO_CLIENT");

    vm.start().await.unwrap();
    assert_eq!(vm.start().await.unwrap_err().code(), "INVALID_STATE");
    assert_eq!(vm.resume().await.unwrap_err().code(), "INVALID_STATE");
    vm.kill().await.unwrap();
    assert_eq!(vm.pause().await.unwrap_err().code(), "INVALID_STATE");
    assert_eq!(vm.info().await.unwrap_err().code(), "NO_CLIENT");
    assert_eq!(vm.stop().await.unwrap().ended_by, "nothing");
    vm.cleanup().await.unwrap();
}

#[tokio::test]
async fn a_call_during_the_start_is_refused_and_a_kill_is_not() {
    let bench = Bench::new();
    let vm = bench.vm(&TinyGuest::halts());
    let mut state = vm.watch_state();
    let starting = tokio::spawn({
        let vm = vm.clone();
        async move { vm.start().await }
    });
    state.wait_for(|state| *state == VmState::Configuring).await.unwrap();
    assert_eq!(vm.pause().await.unwrap_err().code(), "INVALID_STATE");
    vm.kill().await.unwrap();
    assert_eq!(starting.await.unwrap().unwrap_err().code(), "INTERRUPTED");
    assert_eq!(vm.state(), VmState::Error);
    assert_eq!(vm.wait().await.unwrap().cause, EndCause::StartFailed);
    assert_eq!(bench.vm_dirs(), Vec::<std::path::PathBuf>::new());
    bench.next_start_works().await;
}

#[tokio::test]
async fn a_start_whose_future_is_dropped_goes_on() {
    let bench = Bench::new();
    let vm = bench.vm(&TinyGuest::halts());
    let mut state = vm.watch_state();
    tokio::select! {
        biased;
        _ = vm.start() => panic!("no start is done before its first state change"),
        _ = state.wait_for(|state| *state == VmState::Configuring) => {}
    }
    state.wait_for(|state| *state == VmState::Running).await.unwrap();
    vm.cleanup().await.unwrap();
}

#[tokio::test]
async fn dropping_every_handle_removes_the_vm() {
    let bench = Bench::new();
    let vm = bench.started(&TinyGuest::halts()).await;
    let dir = vm.runtime_dir();
    let mut state = vm.watch_state();
    drop(vm);
    let Bench { home, smartvm } = bench;
    drop(smartvm);
    // The sender goes with the driver, after it removed everything.
    while state.changed().await.is_ok() {}
    assert!(!dir.exists());
    drop(home);
}

#[tokio::test]
async fn a_writable_drive_is_a_private_copy_and_a_read_only_one_is_not() {
    let bench = Bench::new();
    // Who writes to an image has it alone.
    let (source, kept) = (bench.file("disk"), bench.file("kept"));
    fs_err::write(&source, [7; 4096]).unwrap();
    fs_err::write(&kept, [8; 4096]).unwrap();
    let mut config = bench.config(&TinyGuest::halts());
    config.drives = vec![drive("rootfs", &source), drive("kept", &kept), drive("ro", &source)];
    config.drives[0].is_root_device = true;
    config.drives[1].ephemeral = Some(false);
    config.drives[2].is_read_only = Some(true);
    let vm = bench.smartvm.create_vm(&config).unwrap();
    vm.start().await.unwrap();
    let copies: Vec<_> = fs_err::read_dir(vm.runtime_dir().join("drives"))
        .unwrap()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert_eq!(copies, ["rootfs-disk"]);
    for (shared, image) in [("drives/kept-kept", &kept), ("drives/ro-disk", &source)] {
        assert_eq!(fs_err::read_link(vm.runtime_dir().join(shared)).unwrap(), *image);
    }
    assert_eq!(fs_err::read(vm.runtime_dir().join("drives/rootfs-disk")).unwrap(), [7; 4096]);
    vm.stop_within(Duration::ZERO).await.unwrap();
    vm.cleanup().await.unwrap();
    assert_eq!(fs_err::read(&source).unwrap(), [7; 4096]);
}

#[tokio::test]
async fn a_drive_is_not_copied_when_the_manager_says_so() {
    let bench = Bench::with(|options| options.ephemeral_writable_drives = false);
    let source = bench.file("disk");
    fs_err::write(&source, [7; 4096]).unwrap();
    let mut config = bench.config(&TinyGuest::halts());
    config.drives = vec![drive("data", &source)];
    let vm = bench.smartvm.create_vm(&config).unwrap();
    vm.start().await.unwrap();
    let link = vm.runtime_dir().join("drives/data-disk");
    assert_eq!(fs_err::read_link(link).unwrap(), source);
    vm.cleanup().await.unwrap();
}
