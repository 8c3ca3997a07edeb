//! What this process may use itself, and what becomes of starts when that is too little.

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use smartvm::JailMode;
use smartvm::snapshot::CreateSnapshot;
use smartvm_testkit::tiny_guest::TinyGuest;

use crate::support::{Bench, whole};

fn jailed() -> Bench {
    Bench::with(|options| options.jail = JailMode::Required)
}

/// Entries of a directory, which may be missing.
fn count(path: &std::path::Path) -> usize {
    fs_err::read_dir(path).map_or(0, Iterator::count)
}

#[tokio::test]
async fn what_a_failed_start_could_not_undo_is_told_by_cleanup_and_removed_by_the_next() {
    for bench in [Bench::new(), jailed()] {
        let limit = getrlimit(Resource::Nofile);
        let open = count("/proc/self/fd".as_ref()) as u64;
        let mut failed = 0;
        // So many that a start gets halfway, and has none left to undo what it did.
        for spare in 2..40 {
            let few = Rlimit { current: Some(open + spare), ..limit };
            let vm = bench.vm(&TinyGuest::halts());
            setrlimit(Resource::Nofile, few).unwrap();
            let started = vm.start().await.is_ok();
            failed += u32::from(!started);
            if started {
                // It knows no Ctrl-Alt-Del, which a cleanup would wait for.
                vm.kill().await.unwrap();
            }
            if let Err(error) = bench.smartvm.cleanup().await {
                assert!(!error.failures().is_empty());
            }
            setrlimit(Resource::Nofile, limit).unwrap();
            bench.smartvm.cleanup().await.unwrap();
            assert_eq!(bench.vm_dirs().len(), 0, "with {spare} descriptors");
            assert_eq!(count(&bench.home.data_dir().join("jail/firecracker")), 0);
            assert_eq!(bench.smartvm.vm_count(), 0);
            if started {
                break;
            }
        }
        assert!(failed > 5, "{failed}");
        bench.next_start_works().await;
    }
}

#[tokio::test]
async fn a_jailed_vm_starts_where_the_hard_limit_of_files_is_below_the_jailers() {
    let bench = jailed();
    setrlimit(Resource::Nofile, Rlimit { current: Some(256), maximum: Some(256) }).unwrap();
    bench.next_start_works().await;
}

#[tokio::test]
async fn a_limit_of_threads_that_a_guest_could_not_run_with_is_refused_before_anything_is_made() {
    let bench = jailed();
    let limit = getrlimit(Resource::Nproc);
    setrlimit(Resource::Nproc, Rlimit { current: Some(3), ..limit }).unwrap();
    let error = bench.vm(&TinyGuest::halts()).start().await.unwrap_err();
    setrlimit(Resource::Nproc, limit).unwrap();
    assert_eq!(error.code(), "PROCESS_LIMIT", "{}", whole(&error));
    assert!(error.hint().unwrap().contains("ulimit -u"));
    assert!(bench.vm_dirs().is_empty());
    bench.next_start_works().await;
}

#[tokio::test]
async fn a_kill_during_a_snapshot_does_not_wait_for_a_stop_that_came_before_it() {
    let bench = Bench::new();
    let vm = bench.started(&TinyGuest::halts()).await;
    let firecracker = Pid::from_raw(vm.process_id().unwrap().cast_signed()).unwrap();
    // So that the snapshot does not end, nor a gentle stop before its patience does.
    kill_process(firecracker, Signal::STOP).unwrap();
    let saving = vm.clone();
    let saving = tokio::spawn(async move {
        saving.create_snapshot(CreateSnapshot::full("saved".parse().unwrap())).await
    });
    let stopping = vm.clone();
    let (first, _) = tokio::join!(biased_first(stopping), async {
        // The requests come in this order: the queue is one.
        tokio::task::yield_now().await;
        vm.kill().await.unwrap();
    });
    assert_eq!(first.ended_by, "nothing", "the kill was carried out before it");
    let error = saving.await.unwrap().unwrap_err();
    assert!(["INTERRUPTED", "VMM_EXITED"].contains(&error.code()), "{}", whole(&error));
    vm.cleanup().await.unwrap();
}

async fn biased_first(vm: smartvm::MicroVm) -> smartvm::StopReport {
    // The snapshot is asked for by a task of its own, which runs first.
    tokio::task::yield_now().await;
    vm.stop().await.unwrap()
}

#[tokio::test]
async fn a_firecracker_that_is_stopped_is_told_when_it_does_not_answer() {
    let bench = Bench::new();
    let vm = bench.started(&TinyGuest::halts()).await;
    let pid = vm.process_id().unwrap();
    let firecracker = Pid::from_raw(pid.cast_signed()).unwrap();
    kill_process(firecracker, Signal::STOP).unwrap();
    let error = vm.flush_metrics().await.unwrap_err();
    assert!(whole(&error).contains("is stopped"), "{}", whole(&error));
    assert!(error.hint().unwrap().contains(&format!("kill -CONT {pid}")));
    kill_process(firecracker, Signal::CONT).unwrap();
    vm.flush_metrics().await.unwrap();
    vm.cleanup().await.unwrap();
}
