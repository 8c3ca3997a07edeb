//! Many VMs, one manager.

use smartvm::VmConfig;
use smartvm_testkit::tiny_guest::TinyGuest;

use crate::support::Bench;

#[tokio::test]
async fn vms_are_tracked_until_their_cleanup() {
    let bench = Bench::new();
    let config = VmConfig { id: Some("one".into()), ..bench.config(&TinyGuest::halts()) };
    let vm = bench.smartvm.create_vm(&config).unwrap();
    assert_eq!(bench.smartvm.vm_count(), 1);
    assert_eq!(bench.smartvm.get_vm("one").unwrap().id(), vm.id());
    assert_eq!(bench.smartvm.list_vms(), [vm.id().clone()]);
    assert_eq!(bench.smartvm.create_vm(&config).unwrap_err().code(), "VM_EXISTS");
    bench.smartvm.cleanup().await.unwrap();
    assert_eq!(bench.smartvm.vm_count(), 0);
}

#[tokio::test]
async fn an_id_is_free_again_once_its_vm_has_ended() {
    let bench = Bench::new();
    let config = VmConfig { id: Some("again".into()), ..bench.config(&TinyGuest::resets()) };
    for _ in 0..3 {
        let vm = bench.smartvm.create_vm(&config).unwrap();
        vm.start().await.unwrap();
        vm.wait().await.unwrap();
        vm.cleanup().await.unwrap();
    }
}

#[tokio::test]
async fn ten_vms_start_at_once_and_are_all_cleaned_up() {
    let bench = Bench::new();
    let config = bench.config(&TinyGuest::halts());
    let mut starts = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let vm = bench.smartvm.create_vm(&config).unwrap();
        starts.spawn(async move { vm.start().await.map(drop) });
    }
    while let Some(started) = starts.join_next().await {
        started.unwrap().unwrap();
    }
    assert_eq!(bench.vm_dirs().len(), 10);
    for id in bench.smartvm.list_vms() {
        bench.smartvm.get_vm(id.as_str()).unwrap().kill().await.unwrap();
    }
    bench.smartvm.cleanup().await.unwrap();
    assert_eq!(bench.vm_dirs().len(), 0);
}

#[tokio::test]
async fn a_second_manager_cannot_take_a_live_id_and_leaves_it_alone() {
    let bench = Bench::new();
    let config = VmConfig { id: Some("shared".into()), ..bench.config(&TinyGuest::halts()) };
    let vm = bench.smartvm.create_vm(&config).unwrap();
    vm.start().await.unwrap();

    let other = smartvm::SmartVm::new(bench.smartvm.options().clone()).unwrap();
    let second = other.create_vm(&config).unwrap();
    assert_eq!(second.start().await.unwrap_err().code(), "VM_EXISTS");
    vm.info().await.expect("the first VM is not touched");
    vm.cleanup().await.unwrap();

    let third = other.create_vm(&config).unwrap();
    third.start().await.unwrap();
    third.cleanup().await.unwrap();
}
