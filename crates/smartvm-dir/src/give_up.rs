//! Ending a wait that nobody wants any more.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

thread_local! {
    static CURRENT: RefCell<Option<GiveUp>> = const { RefCell::new(None) };
}

/// Says to threads that wait for a lock that nobody wants it any more. Clones are the same.
///
/// It is a thread's, not an argument: what waits is at the bottom of much that knows nothing of who asked.
#[derive(Debug, Clone, Default)]
pub struct GiveUp(Arc<AtomicBool>);

/// Gives up when it goes.
#[derive(Debug)]
#[must_use = "dropping it gives up"]
pub struct GiveUpOnDrop(GiveUp);

impl GiveUp {
    /// Ends every wait during which this counts with `Interrupted`, also those to come. A lock that is free is
    /// had nevertheless, so that what has been made can be undone.
    pub fn give_up(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Does the same when what is returned goes, as with a future that is dropped.
    pub fn on_drop(&self) -> GiveUpOnDrop {
        GiveUpOnDrop(self.clone())
    }

    /// Lets this count for the locks that `work` waits for on this thread.
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        struct Restore(Option<GiveUp>);
        impl Drop for Restore {
            fn drop(&mut self) {
                CURRENT.set(self.0.take());
            }
        }
        let _restore = Restore(CURRENT.replace(Some(self.clone())));
        work()
    }
}

impl Drop for GiveUpOnDrop {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

/// Whether this thread shall not wait any more.
pub(crate) fn is_given_up() -> bool {
    CURRENT.with_borrow(|current| {
        current.as_ref().is_some_and(|GiveUp(given_up)| given_up.load(Ordering::Relaxed))
    })
}
