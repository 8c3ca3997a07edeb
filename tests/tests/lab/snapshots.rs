//! Snapshots of Linux guests: what was in memory and on the disk goes on, together.

use std::time::Instant;

use smartvm::snapshot::{CreateSnapshot, MemoryBackend, RestoreVm, SnapshotName};
use smartvm::{MicroVm, VmState};
use smartvm_testkit::fixtures;

use crate::guest::{Guest, Lab};

/// Enough for the kernel and a shell, and quickly saved.
const MEMORY_MIB: u64 = 96;

/// How often a guest dies and goes on.
const DEATHS: u32 = 20;

fn name(text: &str) -> SnapshotName {
    text.parse().unwrap()
}

/// A guest with a shell whose memory and disk are its own.
async fn boot(lab: &Lab) -> Guest {
    let mut config = lab.config(fixtures::rootfs_ext4(), false);
    config.machine_config.mem_size_mib = MEMORY_MIB;
    config.machine_config.track_dirty_pages = Some(true);
    lab.boot_config(&config).await
}

/// Saves the guest, ends it without a word, and goes on from what was saved.
async fn save_and_kill(guest: Guest, snapshot: CreateSnapshot) {
    guest.vm.create_snapshot(snapshot).await.unwrap();
    assert_eq!(guest.vm.state(), VmState::Running);
    guest.vm.kill().await.unwrap();
    guest.vm.cleanup().await.unwrap();
}

async fn restore(lab: &Lab, request: RestoreVm) -> Guest {
    let vm: MicroVm = lab.smartvm.restore_vm(request).unwrap();
    vm.start().await.unwrap();
    Guest::new(vm)
}

/// Functions of the guest's shell, which are in its memory only. `w` makes a new file with its checksum,
/// not yet on the disk for certain, and keeps a number; `c` says whether the file is as the guest
/// knows it, then as its disk holds it, and tells the number.
const TOOLS: &str = "w() { head -c 50000 /dev/urandom > /file; sha256sum /file > /sum; n=$1; }; \
    c() { sha256sum -c /sum; sync; echo 3 > /proc/sys/vm/drop_caches; sha256sum -c /sum; echo $n; }";

async fn write(guest: &mut Guest, number: u32) {
    guest.run(&format!("w {number}")).await;
}

/// What [`write`] wrote is there, in memory and on the disk.
async fn check(guest: &mut Guest, number: u32) {
    assert_eq!(guest.run("c").await, format!("/file: OK\n/file: OK\n{number}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_dies_twenty_times_goes_on_each_time_with_what_it_wrote() {
    let lab = Lab::new();
    let store = lab.smartvm.snapshots().unwrap();
    let mut guest = boot(&lab).await;
    guest.run(TOOLS).await;
    let mut began = Instant::now();
    let mut lap = |what: &str| {
        eprintln!("{what}: {:.1} s", began.elapsed().as_secs_f32());
        began = Instant::now();
    };
    for death in 1..=DEATHS {
        write(&mut guest, death).await;
        lap("wrote");
        let saved = name(&format!("death-{death}"));
        save_and_kill(guest, CreateSnapshot::full(saved.clone())).await;
        lap("saved");
        let mut request = RestoreVm::new(saved.clone());
        request.backend =
            if death.is_multiple_of(2) { MemoryBackend::Uffd } else { MemoryBackend::File };
        guest = restore(&lab, request).await;
        lap("restored");
        check(&mut guest, death).await;
        lap("checked");
        store.remove(&saved).unwrap();
    }
    guest.vm.cleanup().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_of_differences_holds_what_the_guest_had_at_each_link() {
    let lab = Lab::new();
    let store = lab.smartvm.snapshots().unwrap();
    let mut guest = boot(&lab).await;
    guest.run(TOOLS).await;
    guest.vm.create_snapshot(CreateSnapshot::full(name("link-0"))).await.unwrap();
    for link in 1..=4_u32 {
        write(&mut guest, link).await;
        let base = name(&format!("link-{}", link - 1));
        let made = CreateSnapshot::diff(name(&format!("link-{link}")), base);
        let made = guest.vm.create_snapshot(made).await.unwrap();
        let whole = MEMORY_MIB << 20;
        assert!(made.bytes_on_disk() < whole, "link {link}: {} bytes", made.bytes_on_disk());
    }
    guest.vm.kill().await.unwrap();
    guest.vm.cleanup().await.unwrap();
    for link in [2_u32, 4] {
        let whole = name(&format!("whole-{link}"));
        store.merge(&name(&format!("link-{link}")), &whole).unwrap();
        let mut guest = restore(&lab, RestoreVm::new(whole)).await;
        check(&mut guest, link).await;
        guest.vm.cleanup().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_clones_of_one_snapshot_live_at_once_each_with_its_own_memory_and_disk() {
    let lab = Lab::new();
    let mut guest = boot(&lab).await;
    guest.run("number=none; echo none > /number; sync").await;
    save_and_kill(guest, CreateSnapshot::full(name("origin"))).await;
    let mut clones = Vec::new();
    for number in 0..10 {
        let mut request = RestoreVm::new(name("origin"));
        request.id = Some(format!("clone-{number}").parse().unwrap());
        request.backend = if number % 2 == 0 { MemoryBackend::File } else { MemoryBackend::Uffd };
        clones.push(restore(&lab, request).await);
    }
    for (number, clone) in clones.iter_mut().enumerate() {
        let told = format!("echo $number; number={number}; echo {number} > /number; sync");
        assert_eq!(clone.run(&told).await, "none", "clone {number}");
    }
    for (number, clone) in clones.iter_mut().enumerate() {
        assert_eq!(clone.vm.id().as_str(), format!("clone-{number}"));
        let said = clone.run("echo $number; cat /number").await;
        assert_eq!(said, format!("{number}\n{number}"), "clone {number}");
    }
    for clone in &clones {
        clone.vm.cleanup().await.unwrap();
    }
}
