//! The way to a guest through its vsock. These guests have no driver for it: the lab's have.

use std::time::Duration;

use smartvm::control::{ControlClient, ControlError};
use smartvm::{ConnectGuestError, JailMode, MicroVm, VsockConfig};
use smartvm_testkit::tiny_guest::TinyGuest;
use tokio::net::UnixStream;

use crate::support::Bench;

/// Longer than any machine takes, where something must happen.
const LONG: Duration = Duration::from_secs(30);

async fn started(bench: &Bench) -> MicroVm {
    let mut config = bench.config(&TinyGuest::halts());
    config.vsock = Some(VsockConfig { guest_cid: 3, uds_path: None });
    let vm = bench.smartvm.create_vm(&config).unwrap();
    vm.start().await.unwrap();
    vm
}

/// Where the VM's Firecracker is, whose connection to the doorbell is played.
fn doorbell(vm: &MicroVm) -> std::path::PathBuf {
    let root = format!("/proc/{}/cwd", vm.process_id().unwrap());
    std::path::Path::new(&root).join("vsock.sock_1")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_is_not_ready_is_told_from_one_that_has_rung_and_one_that_has_ended() {
    for jail in [JailMode::Off, JailMode::Required] {
        let bench = Bench::with(|options| options.jail = jail);
        let vm = started(&bench).await;
        let soon = Duration::from_millis(50);
        let error = vm.wait_for_agent(soon).await.unwrap_err();
        assert_eq!(error.code(), "AGENT_NOT_READY");
        let waiting = tokio::spawn({
            let vm = vm.clone();
            async move { vm.wait_for_agent(LONG).await }
        });
        UnixStream::connect(doorbell(&vm)).await.unwrap();
        waiting.await.unwrap().unwrap();
        // It was heard: whoever asks later need not wait.
        vm.wait_for_agent(Duration::ZERO).await.unwrap();

        vm.kill().await.unwrap();
        let error = vm.connect_guest(1023).await.unwrap_err();
        assert!(matches!(error, ConnectGuestError::NotRunning { .. }), "{error:?}");
        vm.cleanup().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_for_a_guest_ends_with_its_vm() {
    let bench = Bench::new();
    let vm = started(&bench).await;
    let waiting = tokio::spawn({
        let vm = vm.clone();
        async move { vm.wait_for_agent(LONG * 10).await }
    });
    vm.kill().await.unwrap();
    let ended = tokio::time::timeout(LONG, waiting).await.expect("it ends with the VM");
    assert_eq!(ended.unwrap().unwrap_err().code(), "VM_NOT_RUNNING");
    vm.cleanup().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_is_told_why_it_gets_no_connection() {
    let bench = Bench::new();
    let plain = bench.started(&TinyGuest::halts()).await;
    let with_vsock = started(&bench).await;
    for (vm, code) in [(&plain, "NO_VSOCK"), (&with_vsock, "AGENT_NOT_READY")] {
        let _served = vm.serve_control().unwrap();
        let client = ControlClient::connect(bench.home.runtime_dir(), vm.id()).await.unwrap();
        let error = client.connect_guest(1023, Duration::from_millis(10)).await.unwrap_err();
        assert!(
            matches!(&error, ControlError::Refused { code: it, .. } if it == code),
            "{error:?}"
        );
        vm.cleanup().await.unwrap();
    }
}
