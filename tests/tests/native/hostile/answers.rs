//! What it answers, and when.

use std::time::Duration;

use smartvm::VmState;

use super::{Lair, within};
use crate::snapshots::full;

/// Every call of a VM that answers so ends, and another one goes on meanwhile.
async fn goes_nowhere(lie: &str) {
    let lair = Lair::new();
    let (liar, other) = (lair.started(lie).await, lair.started("obeys").await);
    // What it claims to have done is its own affair.
    let (paused, _) = tokio::join!(within("pause", liar.pause()), within("info", other.info()));
    assert_eq!(paused.is_ok(), lie == "says-yes", "{lie}");
    within("a snapshot", liar.create_snapshot(full("one"))).await.unwrap_err();
    within("another's info", other.info()).await.unwrap();
    within("another's snapshot", other.create_snapshot(full("other"))).await.unwrap();
    assert_eq!(other.state(), VmState::Running);
    within("cleanup", other.cleanup()).await.unwrap();
    lair.ends(liar).await;
}

#[tokio::test]
async fn one_that_never_answers_holds_nobody_up() {
    goes_nowhere("is-silent").await;
}

#[tokio::test]
async fn half_an_answer_holds_nobody_up() {
    goes_nowhere("answers-half").await;
}

#[tokio::test]
async fn a_body_without_an_end_is_not_read_to_it() {
    goes_nowhere("endless-body").await;
}

#[tokio::test]
async fn headers_without_an_end_are_not_read_to_it() {
    goes_nowhere("endless-head").await;
}

#[tokio::test]
async fn one_that_says_yes_to_everything_is_not_believed() {
    goes_nowhere("says-yes").await;
}

#[tokio::test]
async fn a_version_that_is_none_fails_the_start_and_leaves_nothing() {
    for lie in ["version-path", "version-long", "version-endless"] {
        let lair = Lair::new();
        let vm = lair.vm(lie);
        within("start", vm.start()).await.unwrap_err();
        assert_eq!(vm.state(), VmState::Error, "{lie}");
        lair.ends(lair.started("obeys").await).await;
    }
}

#[tokio::test]
async fn what_it_writes_without_end_takes_no_memory_and_holds_nobody_up() {
    for lie in ["floods-log", "floods-metrics", "floods-console"] {
        let lair = Lair::new();
        let (liar, other) = (lair.started(lie).await, lair.started("obeys").await);
        for _ in 0..50 {
            within("info", liar.info()).await.unwrap();
            within("another's info", other.info()).await.unwrap();
        }
        within("cleanup", other.cleanup()).await.unwrap();
        lair.ends(liar).await;
    }
}

#[tokio::test]
async fn a_kill_ends_one_that_ignores_every_request_at_once() {
    let lair = Lair::new();
    let vm = lair.started("is-silent").await;
    let begun = tokio::time::Instant::now();
    within("kill", vm.kill()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10));
    lair.ends(vm).await;
}
