//! The guest's serial console.

use std::time::Duration;

use smartvm::VmState;
use smartvm_testkit::tiny_guest::TinyGuest;

use crate::support::Bench;

const DEADLINE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn what_the_guest_prints_is_read() {
    let bench = Bench::new();
    let vm = bench.started(&TinyGuest::prints("hello from the guest\n")).await;
    let mut reader = vm.console().unwrap().reader();
    let mut seen = Vec::new();
    while !seen.ends_with(b"hello from the guest\n") {
        let chunk = tokio::time::timeout(DEADLINE, reader.next()).await.unwrap().unwrap();
        assert_eq!(chunk.lost, 0);
        seen.extend(chunk.bytes);
    }
    vm.cleanup().await.unwrap();
    while let Some(chunk) = tokio::time::timeout(DEADLINE, reader.next()).await.unwrap() {
        seen.extend(chunk.bytes);
    }
    assert_eq!(String::from_utf8_lossy(&seen), "hello from the guest\n", "nothing but the guest");
}

#[tokio::test]
async fn what_is_written_reaches_the_guest() {
    let bench = Bench::new();
    let vm = bench.started(&TinyGuest::echoes()).await;
    let console = vm.console().unwrap();
    let mut reader = console.reader();
    console.write(b"ping").await.unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"ping") {
        seen.extend(tokio::time::timeout(DEADLINE, reader.next()).await.unwrap().unwrap().bytes);
    }
    vm.cleanup().await.unwrap();
}

#[tokio::test]
async fn a_flooding_guest_overwrites_only_its_own_output() {
    let bench = Bench::with(|options| options.console_capacity = 4096);
    let vm = bench.started(&TinyGuest::floods()).await;
    let console = vm.console().unwrap();
    let mut reader = console.reader();
    let mut total = 0;
    // Read late and little: the guest is never held up, and the reader is told what it missed.
    while total < 64 * 1024 {
        let chunk = tokio::time::timeout(DEADLINE, reader.next()).await.unwrap().unwrap();
        assert!(chunk.bytes.len() <= 4096);
        total += chunk.lost + chunk.bytes.len() as u64;
    }
    assert!(console.tail(usize::MAX).len() <= 4096);
    vm.pause().await.unwrap();
    assert_eq!(vm.state(), VmState::Paused);
    vm.cleanup().await.unwrap();
}
