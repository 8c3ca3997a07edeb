//! What one VM, or one snapshot that is being made, was promised.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use smartvm_dir::GiveUp;
use smartvm_images::Growth;

use super::ledger::{DiskLedger, Entry, Promise};
use super::refused::DiskRefused;

/// A file that may come to take some room. It counts as long as it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Growing {
    pub(crate) path: PathBuf,
    /// How much, with all holes filled.
    pub(crate) bytes: u64,
    /// Whether it shares its blocks with another one: of those, only a budget counts all.
    pub(crate) is_shared: bool,
}

impl From<Growth> for Growing {
    fn from(growth: Growth) -> Self {
        Self { path: growth.target, bytes: growth.size, is_shared: growth.is_shared }
    }
}

/// What its owner may take of the disk. Clones are the same; the promise ends with the last one.
#[derive(Debug, Clone)]
pub(crate) struct DiskUse {
    ledger: DiskLedger,
    give_up: GiveUp,
    promised: Arc<Mutex<Promised>>,
}

#[derive(Debug)]
struct Promised {
    promise: Promise,
    /// None as long as nothing had to be promised.
    entry: Option<Entry>,
}

impl DiskUse {
    /// Nothing yet, for `what`, whose logs may take so many bytes. `give_up` ends every wait.
    pub(crate) fn new(ledger: DiskLedger, what: String, logs: u64, give_up: GiveUp) -> Self {
        let promise = Promise { what, logs, files: Vec::new() };
        let promised = Arc::new(Mutex::new(Promised { promise, entry: None }));
        Self { ledger, give_up, promised }
    }

    /// Has the logs promised, where there is a budget that they count for. Blocks.
    pub(crate) fn admit_logs(&self) -> Result<(), DiskRefused> {
        let has_logs = self.lock().promise.logs > 0;
        if has_logs && self.ledger.has_budget() { self.admit(Vec::new()) } else { Ok(()) }
    }

    /// Has new files promised, which are there and empty. Blocks.
    pub(crate) fn admit(&self, new: Vec<Growing>) -> Result<(), DiskRefused> {
        let mut promised = self.lock();
        let mut promise = promised.promise.clone();
        for file in &new {
            match promise.files.iter_mut().find(|it| it.path == file.path) {
                // One is to take the place of the other; which comes to stay is not known yet.
                Some(former) => {
                    former.bytes = former.bytes.max(file.bytes);
                    former.is_shared &= file.is_shared;
                }
                None => promise.files.push(file.clone()),
            }
        }
        self.give_up.during(|| self.ledger.admit(&mut promised.entry, &promise, &new))?;
        promised.promise = promise;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Promised> {
        // A promise is replaced whole or not at all.
        self.promised.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
