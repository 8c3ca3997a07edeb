//! What it tells of its guest's memory, which this process fills.

use std::path::PathBuf;

use smartvm::snapshot::{MemoryBackend, RestoreVm};
use smartvm::{EndCause, MicroVm, VmState};

use super::{DEADLINE, Lair, within};
use crate::snapshots::{full, name};
use crate::support::whole;

/// What this process has open, each without its number.
fn descriptors() -> Vec<String> {
    let entries = fs_err::read_dir("/proc/self/fd").unwrap();
    // The directory itself is closed by the time that it is looked at.
    let links = entries.filter_map(|entry| fs_err::read_link(entry.unwrap().path()).ok());
    let kind = |link: PathBuf| link.display().to_string().split(":[").next().unwrap().to_owned();
    let mut kinds: Vec<_> = links.map(kind).collect();
    kinds.sort();
    kinds
}

impl Lair {
    /// A snapshot for all lies.
    async fn with_snapshot() -> Self {
        let lair = Self::new();
        let vm = lair.started("obeys").await;
        within("a snapshot", vm.create_snapshot(full("one"))).await.unwrap();
        lair.ends(vm).await;
        lair
    }

    /// A VM that is to go on from it.
    fn restored(&self, lie: &str) -> MicroVm {
        let mut request = RestoreVm::new(name("one"));
        request.id = Some(lie.parse().unwrap());
        request.backend = MemoryBackend::Uffd;
        self.bench.smartvm.restore_vm(request).unwrap()
    }

    /// Another VM, whose memory is filled all the while.
    async fn other(&self) -> MicroVm {
        let other = self.restored("uffd-obeys");
        within("another's start", other.start()).await.unwrap();
        other
    }

    /// Ends both, and shows that the other one was there until then and that nothing is left.
    async fn both_end(&self, liar: MicroVm, other: MicroVm, before: &[String]) {
        within("the liar's cleanup", liar.cleanup()).await.unwrap();
        // Its console is had as long as anybody asks for it.
        drop(liar);
        within("another's info", other.info()).await.unwrap();
        assert_eq!(other.state(), VmState::Running);
        self.ends(other).await;
        assert_eq!(descriptors(), before);
    }
}

/// Nothing that it tells makes a guest of it.
async fn fails_the_start(lies: &[&str], reason: &str) {
    let lair = Lair::with_snapshot().await;
    for lie in lies {
        let before = descriptors();
        let (liar, other) = (lair.restored(lie), lair.other().await);
        let error = within("start", liar.start()).await.unwrap_err();
        assert_eq!(error.code(), "UFFD_FAILED", "{lie}: {}", whole(&error));
        assert!(whole(&error).contains(reason), "{lie}: {}", whole(&error));
        assert_eq!(liar.state(), VmState::Error, "{lie}");
        lair.both_end(liar, other, &before).await;
    }
}

#[tokio::test]
async fn a_memory_that_it_does_not_hand_over_fails_the_start() {
    fails_the_start(&["uffd-without"], "no descriptor came").await;
    fails_the_start(&["uffd-pipe"], "no userfaultfd").await;
}

#[tokio::test]
async fn descriptors_that_it_hands_over_by_the_hundred_are_not_kept() {
    fails_the_start(&["uffd-many", "uffd-twice"], "more than one descriptor").await;
}

#[tokio::test]
async fn memory_where_there_is_none_fails_the_start() {
    fails_the_start(&["uffd-large"], "not in the memory file").await;
    fails_the_start(&["uffd-nowhere"], "at no address of a page").await;
    fails_the_start(&["uffd-words"], "cannot be parsed").await;
}

#[tokio::test]
async fn words_without_an_end_are_not_heard_to_it() {
    fails_the_start(&["uffd-endless"], "without an end").await;
    fails_the_start(&["uffd-slow", "uffd-half"], "timed out").await;
}

/// It has its memory, and then is no Firecracker any more.
async fn ends_later(lie: &str, cause: EndCause) {
    let lair = Lair::with_snapshot().await;
    let before = descriptors();
    let (liar, other) = (lair.restored(lie), lair.other().await);
    within("start", liar.start()).await.unwrap();
    let end = tokio::time::timeout(DEADLINE, liar.wait()).await.expect("it is noticed");
    assert_eq!(end.unwrap().cause, cause, "{lie}");
    lair.both_end(liar, other, &before).await;
}

#[tokio::test]
async fn a_fault_outside_of_what_it_told_ends_it() {
    ends_later("uffd-elsewhere", EndCause::MemoryLost).await;
}

#[tokio::test]
async fn memory_that_it_moves_ends_it() {
    ends_later("uffd-moves", EndCause::MemoryLost).await;
}

#[tokio::test]
async fn one_that_dies_while_it_waits_for_memory_is_noticed() {
    ends_later("uffd-ends", EndCause::Crashed).await;
}

#[tokio::test]
async fn one_that_dies_in_the_middle_of_a_word_is_noticed() {
    let lair = Lair::with_snapshot().await;
    let before = descriptors();
    let (liar, other) = (lair.restored("uffd-dies"), lair.other().await);
    // Its end and the end of what it said are seen in either order.
    let error = within("start", liar.start()).await.unwrap_err();
    assert!(["VMM_EXITED", "UFFD_FAILED"].contains(&error.code()), "{}", whole(&error));
    lair.both_end(liar, other, &before).await;
}

#[tokio::test]
async fn removals_and_faults_without_an_end_hold_nobody_up() {
    let lair = Lair::with_snapshot().await;
    let before = descriptors();
    let (liar, other) = (lair.restored("uffd-floods"), lair.other().await);
    within("start", liar.start()).await.unwrap();
    for _ in 0..50 {
        within("info", liar.info()).await.unwrap();
        within("another's info", other.info()).await.unwrap();
    }
    within("a third's cleanup", lair.started("obeys").await.cleanup()).await.unwrap();
    within("pause", liar.pause()).await.unwrap();
    lair.both_end(liar, other, &before).await;
}
