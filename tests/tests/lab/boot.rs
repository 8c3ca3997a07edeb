//! The library with Linux guests.

use smartvm::firecracker::api::InstanceState;
use smartvm::{EndCause, VmState};
use smartvm_testkit::fixtures;

use crate::guest::{DEADLINE, Guest, Lab, in_huge_pages};

#[tokio::test]
async fn an_ext4_guest_boots_works_pauses_and_stops_gently() {
    let lab = Lab::new();
    let mut guest = lab.boot(fixtures::rootfs_ext4(), false).await;
    assert_eq!(guest.run("uname -r").await, lab.kernel.version);
    assert!(guest.run("mount").await.contains("/dev/vda on / type ext4 (rw"), "the root is ours");
    guest.run("echo kept > /file && sync").await;
    assert_eq!(guest.run("cat /file").await, "kept");

    let metrics = guest.vm.flush_metrics().await.unwrap();
    // The root's superblock at least, and the file that was synced.
    assert!(metrics.get("block_rootfs.read_bytes").unwrap() >= 4096, "{metrics:?}");
    assert!(metrics.get("block_rootfs.write_count").unwrap() > 0, "{metrics:?}");
    assert!(metrics.get("vcpu.exit_io_out").unwrap() > 0, "{metrics:?}");
    let text = metrics.to_prometheus(guest.vm.id().as_str());
    assert!(text.contains("smartvm_block_read_bytes_total{vm=\""), "{text}");

    guest.vm.pause().await.unwrap();
    guest.type_line("echo \"late:$((1 + 1))\"").await;
    assert_eq!(guest.vm.info().await.unwrap().state, InstanceState::Paused);
    guest.vm.resume().await.unwrap();
    guest.expect("late:2").await;

    // Linux restarts on Ctrl-Alt-Del, and with reboot=k Firecracker ends with it.
    let report = guest.vm.stop_within(DEADLINE).await.unwrap();
    assert_eq!(report.ended_by, "ctrl-alt-del");
    assert_eq!(report.exit.unwrap().code, Some(0));
    assert_eq!(guest.vm.state(), VmState::Stopped);
    guest.vm.cleanup().await.unwrap();
}

/// Short, and the only one with two: in an emulated host more of such guests stand still.
#[tokio::test]
async fn a_guest_has_as_many_processors_as_it_is_given() {
    let lab = Lab::new();
    let mut config = in_huge_pages(lab.config(fixtures::rootfs_squashfs(), true));
    config.machine_config.vcpu_count = 2;
    let mut guest = lab.boot_config(&config).await;
    assert_eq!(guest.run("nproc").await, "2");
    guest.vm.cleanup().await.unwrap();
}

#[tokio::test]
async fn what_a_guest_writes_goes_with_it_unless_it_is_to_stay() {
    let lab = Lab::new();
    let image = lab.home.path().join("root.ext4");
    fs_err::copy(fixtures::rootfs_ext4(), &image).unwrap();

    let mut guest = lab.boot(image.clone(), false).await;
    guest.run("echo gone > /file && sync").await;
    guest.vm.kill().await.unwrap();
    guest.vm.cleanup().await.unwrap();

    let mut config = in_huge_pages(lab.config(image, false));
    config.drives[0].ephemeral = Some(false);
    for (command, expected) in
        [("cat /file 2>&1 || echo none; echo stays > /file; sync", "none"), ("cat /file", "stays")]
    {
        let mut guest = lab.boot_config(&config).await;
        let output = guest.run(command).await;
        assert!(output.ends_with(expected), "{command}: {output}");
        guest.vm.stop_within(DEADLINE).await.unwrap();
        guest.vm.cleanup().await.unwrap();
    }
}

#[tokio::test]
async fn a_squashfs_root_is_writable_in_memory() {
    let lab = Lab::new();
    let mut guest = lab.boot(fixtures::rootfs_squashfs(), true).await;
    assert!(guest.run("mount").await.contains(" on / type overlay (rw"));
    assert_eq!(guest.run("echo new > /etc/file && cat /etc/file").await, "new");
    guest.type_line("reboot -f").await;
    let end = tokio::time::timeout(DEADLINE, guest.vm.wait()).await.unwrap().unwrap();
    assert_eq!(end.cause, EndCause::GuestEnded);
    assert_eq!(end.exit.unwrap().code, Some(0));
    guest.vm.cleanup().await.unwrap();
}

#[tokio::test]
async fn a_guest_without_a_root_says_so_and_ends() {
    let lab = Lab::new();
    let mut config = in_huge_pages(lab.config(fixtures::rootfs_ext4(), false));
    config.drives.clear();
    let vm = lab.smartvm.create_vm(&config).unwrap();
    vm.start().await.unwrap();
    let mut guest = Guest::new(vm);
    guest.expect("smartvm-agent: ").await;
    guest.expect("root=").await;
    let end = tokio::time::timeout(DEADLINE, guest.vm.wait()).await.unwrap().unwrap();
    assert_eq!(end.cause, EndCause::GuestEnded);
    guest.vm.cleanup().await.unwrap();
}

#[tokio::test]
async fn two_guests_run_side_by_side() {
    let lab = Lab::new();
    let (mut first, mut second) = tokio::join!(
        lab.boot(fixtures::rootfs_ext4(), false),
        lab.boot(fixtures::rootfs_squashfs(), true),
    );
    assert_ne!(first.vm.id(), second.vm.id());
    assert_eq!(first.run("echo one").await, "one");
    assert_eq!(second.run("echo two").await, "two");
    first.vm.cleanup().await.unwrap();
    assert_eq!(second.run("echo still").await, "still");
    second.vm.cleanup().await.unwrap();
}
