//! What was promised, and whether more can be.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use smartvm_dir::{HeldLock, LockState, PrivateDir};
use smartvm_images::FreeSpace;
use uuid::Uuid;

use super::promise::Growing;
use super::refused::DiskRefused;
use super::usage::bytes_below;
use crate::manager::SmartVm;
use crate::options::SmartVmOptions;
use crate::snapshot::SnapshotStore;

/// Below the data directory.
const DIR: &str = ".disk";
const LOCK: &str = ".lock";

/// The disk of a data directory: its budget, what is used of it, and what was promised.
#[derive(Debug, Clone)]
pub struct DiskLedger {
    data_dir: PathBuf,
    budget: Option<u64>,
    jails: PathBuf,
    images: PathBuf,
}

/// How a data directory's disk stands, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiskState {
    /// The budget, if there is one.
    pub budget: Option<u64>,
    /// What snapshots, images, kernels and logs take.
    pub used: u64,
    /// What VMs, and snapshots that are being made, may take besides: the whole lengths of private
    /// copies, and their logs.
    pub promised: u64,
}

/// What an owner was promised, as others read it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Promise {
    pub(super) what: String,
    /// What its logs may take, wherever they are.
    pub(super) logs: u64,
    pub(super) files: Vec<Growing>,
}

impl Promise {
    /// What it may take in all.
    fn whole(&self) -> u64 {
        self.files
            .iter()
            .filter(|it| it.path.symlink_metadata().is_ok())
            .map(|it| it.bytes)
            .sum::<u64>()
            + self.logs
    }
}

/// A promise that is written down, as long as this lives.
#[derive(Debug)]
pub(super) struct Entry {
    dir: PrivateDir,
    name: String,
    lock: HeldLock,
}

impl Drop for Entry {
    fn drop(&mut self) {
        // Without the lock it does not count either.
        if let Err(error) = self.dir.remove_file(&self.name) {
            tracing::warn!(%error, "a promise of disk space was left; the next start removes it");
        }
    }
}

impl From<&SmartVmOptions> for DiskLedger {
    fn from(options: &SmartVmOptions) -> Self {
        Self {
            data_dir: options.data_dir.clone(),
            budget: options.disk_budget,
            jails: options.chroot_base(),
            images: options.base_image_cache(),
        }
    }
}

impl DiskLedger {
    /// That of a data directory with the usual places of jails and images; no budget is no bound.
    #[must_use]
    pub fn new(data_dir: &Path, budget: Option<u64>) -> Self {
        let options = SmartVmOptions {
            data_dir: data_dir.to_owned(),
            disk_budget: budget,
            ..SmartVmOptions::default()
        };
        Self::from(&options)
    }

    /// How the disk stands now. Nothing is made. Blocks for as long as it takes to look at every file of the
    /// data directory.
    ///
    /// # Errors
    /// `DISK_LEDGER_FAILED`, `HOST_LOCK_BUSY`.
    pub fn state(&self) -> Result<DiskState, DiskRefused> {
        let looked = |source| self.unknown("look at the promises of", source);
        let dir = PrivateDir::existing(&self.dir()).map_err(|it| looked(io::Error::other(it)))?;
        let promises = match &dir {
            None => Vec::new(),
            Some(dir) => {
                let _whole = dir.lock(LOCK).map_err(looked)?;
                promises(dir).map_err(looked)?
            }
        };
        let promised = promises.iter().map(|(_, promise)| promise.whole()).sum();
        Ok(DiskState { budget: self.budget, used: self.used()?, promised })
    }

    /// Whether there is a budget.
    pub(super) const fn has_budget(&self) -> bool {
        self.budget.is_some()
    }

    /// Looks whether `bytes` more fit into the budget, of images that are about to be made or fetched; without
    /// a budget always. Nothing is promised: those who make images are not strangers. Blocks.
    ///
    /// # Errors
    /// `DISK_BUDGET_EXCEEDED` with the figures; `DISK_LEDGER_FAILED`, `HOST_LOCK_BUSY`.
    pub fn check(&self, what: &str, bytes: u64) -> Result<(), DiskRefused> {
        let Some(budget) = self.budget else { return Ok(()) };
        let DiskState { used, promised, .. } = self.state()?;
        self.judge(what, bytes, budget, used, promised)
    }

    /// Promises `promise`, which has `new` files, in place of what the owner was promised before.
    pub(super) fn admit(
        &self,
        entry: &mut Option<Entry>,
        promise: &Promise,
        new: &[Growing],
    ) -> Result<(), DiskRefused> {
        let failed = |source| self.unknown("write down a promise for", source);
        let data = PrivateDir::ensure(&self.data_dir).map_err(|it| failed(io::Error::other(it)))?;
        let dir = data.ensure_dir(DIR).map_err(failed)?;
        let _whole = dir.lock(LOCK).map_err(failed)?;
        let mut others = promises(&dir).map_err(failed)?;
        others.retain(|(name, _)| entry.as_ref().is_none_or(|entry| entry.name != *name));
        if let Some(budget) = self.budget {
            let promised = others.iter().map(|(_, other)| other.whole()).sum();
            self.judge(&promise.what, promise.whole(), budget, self.used()?, promised)?;
        }
        let is_new = |file: &&Growing| new.iter().any(|it| it.path == file.path);
        let before = promise.files.iter().filter(|file| !is_new(file));
        let others = others.iter().flat_map(|(_, other)| &other.files).chain(before);
        check_room(&promise.what, new, others)?;
        let text = serde_json::to_vec(promise).map_err(|error| failed(error.into()))?;
        match entry {
            Some(entry) => entry.lock.fill(&text).map_err(failed),
            None => {
                let name = Uuid::new_v4().to_string();
                let lock = dir.create_lock(&name).map_err(failed)?;
                let made = entry.insert(Entry { dir: dir.clone(), name, lock });
                made.lock.fill(&text).map_err(failed)
            }
        }
    }

    fn judge(
        &self,
        what: &str,
        needed: u64,
        budget: u64,
        used: u64,
        promised: u64,
    ) -> Result<(), DiskRefused> {
        if used.saturating_add(promised).saturating_add(needed) <= budget {
            return Ok(());
        }
        let (what, data_dir) = (what.to_owned(), self.data_dir.clone());
        Err(DiskRefused::OverBudget { what, needed, budget, used, promised, data_dir })
    }

    /// What is used but for what is promised: private copies of drives, and snapshots that are being made.
    fn used(&self) -> Result<u64, DiskRefused> {
        let mut dirs = vec![self.data_dir.clone()];
        if !self.images.starts_with(&self.data_dir) {
            dirs.push(self.images.clone());
        }
        let (own, snapshots) = (self.dir(), SmartVm::snapshots_dir(&self.data_dir));
        let is_promised = |dir: &Path| {
            dir == self.jails || dir == own || SnapshotStore::is_draft(&snapshots, dir)
        };
        bytes_below(&dirs, is_promised).map_err(|source| self.unknown("measure", source))
    }

    fn dir(&self) -> PathBuf {
        self.data_dir.join(DIR)
    }

    fn unknown(&self, action: &'static str, source: io::Error) -> DiskRefused {
        DiskRefused::Unknown { action, path: self.data_dir.clone(), source }
    }
}

/// The promises whose owners live, by name. Those of dead ones are removed. The caller has the lock.
fn promises(dir: &PrivateDir) -> io::Result<Vec<(String, Promise)>> {
    let mut promises = Vec::new();
    for entry in dir.entries()? {
        let Some(name) = entry.name().to_str().filter(|name| *name != LOCK) else { continue };
        match dir.try_lock(name)? {
            LockState::Held => {
                let Some(text) = dir.read(name)? else { continue };
                let promise = serde_json::from_slice(&text).map_err(|error| {
                    let path = dir.path().join(name);
                    let text = format!("{} makes no sense: {error}", path.display());
                    io::Error::new(io::ErrorKind::InvalidData, text)
                })?;
                promises.push((name.to_owned(), promise));
            }
            // Its owner is dead.
            LockState::Ours(_lock) => dir.remove_file(name)?,
            _ => {}
        }
    }
    Ok(promises)
}

/// Sees that what `new` files may come to take fits beside what others may still write where they are.
fn check_room<'a>(
    what: &str,
    new: &[Growing],
    others: impl Iterator<Item = &'a Growing>,
) -> Result<(), DiskRefused> {
    let mut wanted: BTreeMap<u64, (u64, PathBuf)> = BTreeMap::new();
    for file in new {
        let Some((device, bytes)) = file.to_come() else { continue };
        let dir = file.path.parent().unwrap_or(&file.path).to_owned();
        let sum = wanted.entry(device).or_insert((0, dir));
        sum.0 = sum.0.saturating_add(bytes);
    }
    wanted.retain(|_, (bytes, _)| *bytes > 0);
    if wanted.is_empty() {
        return Ok(());
    }
    let mut promised: BTreeMap<u64, u64> = BTreeMap::new();
    for (device, bytes) in others.filter_map(Growing::to_come) {
        let sum = promised.entry(device).or_default();
        *sum = sum.saturating_add(bytes);
    }
    for (device, (needed, dir)) in wanted {
        let looked = fs_err::File::open(&dir).and_then(FreeSpace::at);
        let FreeSpace { free, reserve } = looked.map_err(|source| {
            let (action, path) = ("look for free space at", dir.clone());
            DiskRefused::Unknown { action, path, source }
        })?;
        let promised = promised.get(&device).copied().unwrap_or_default();
        if needed.saturating_add(promised).saturating_add(reserve) > free {
            let what = what.to_owned();
            return Err(DiskRefused::NoRoom { what, needed, free, promised, reserve, dir });
        }
    }
    Ok(())
}

impl Growing {
    /// Where it is, and what it may still come to take there.
    fn to_come(&self) -> Option<(u64, u64)> {
        let found = self.path.symlink_metadata().ok()?;
        let taken = found.blocks().saturating_mul(512);
        let to_come = if self.is_shared { 0 } else { self.bytes.saturating_sub(taken) };
        Some((found.dev(), to_come))
    }
}

#[cfg(test)]
mod tests;
