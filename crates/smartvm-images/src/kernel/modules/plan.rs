//! Which modules go along, and in which order they are loaded.

use std::collections::{BTreeMap, BTreeSet};
use std::slice;

use super::index::ModuleIndex;

/// What a guest of Firecracker may need of its kernel.
///
/// Firecracker's devices are virtio ones on MMIO, from its version 1.13 on also on PCI; the root file system is
/// ext4 or squashfs under an overlay.
const WANTED: [&str; 10] = [
    "virtio_mmio",
    "virtio_pci",
    "virtio_blk",
    "virtio_net",
    "virtio_balloon",
    "virtio_rng",
    "vmw_vsock_virtio_transport",
    "ext4",
    "squashfs",
    "overlay",
];

/// Of each of these, one at least: without it the guest finds no drive.
const REQUIRED: [&[&str]; 2] = [&["virtio_mmio", "virtio_pci"], &["virtio_blk"]];

/// Modules in the order to load them in.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct LoadPlan {
    /// Names, each after what it depends on.
    pub(super) load: Vec<String>,
    /// Wanted, and part of the kernel.
    pub(super) built_in: Vec<String>,
    /// Wanted, and neither a module nor part of the kernel.
    pub(super) missing: Vec<String>,
}

impl ModuleIndex {
    /// The names of the modules that a guest of Firecracker loads, each after what it depends on;
    /// none when a driver without which it finds no drive is neither there nor built in.
    pub fn load_order(&self) -> Option<Vec<String>> {
        self.plan().ok().map(|plan| plan.load)
    }

    /// Plans what to load, or gives the names of which one is required and none is there.
    pub(super) fn plan(&self) -> Result<LoadPlan, &'static [&'static str]> {
        let mut plan = LoadPlan::default();
        let mut progress = Progress::default();
        for name in WANTED {
            if self.modules.contains_key(name) {
                self.load_after_dependencies(name, &mut progress, &mut plan.load);
            } else if self.built_in.contains(name) {
                plan.built_in.push(name.to_owned());
            } else {
                plan.missing.push(name.to_owned());
            }
        }
        for alternatives in REQUIRED {
            if alternatives.iter().all(|name| plan.missing.iter().any(|missing| missing == name)) {
                return Err(alternatives);
            }
        }
        Ok(plan)
    }

    /// Not recursive: the depth is up to whoever wrote the index. A circle is cut where it closes.
    fn load_after_dependencies<'a>(
        &'a self,
        name: &'a str,
        progress: &mut Progress<'a>,
        load: &mut Vec<String>,
    ) {
        let mut open: Vec<_> = progress.enter(self, name).into_iter().collect();
        while let Some(module) = open.last_mut() {
            match module.next_needed(self, progress) {
                Some(needed) => open.extend(progress.enter(self, needed)),
                None => {
                    load.push(module.name.to_owned());
                    open.pop();
                }
            }
        }
    }
}

/// What has been come by.
#[derive(Debug, Default)]
struct Progress<'a> {
    seen: BTreeSet<&'a str>,
    /// Of each alias, the modules that it stands for and that were not come by through it. Many modules
    /// may ask for an alias of many: each of those is looked at once.
    aliases: BTreeMap<&'a str, slice::Iter<'a, String>>,
}

impl<'a> Progress<'a> {
    /// A module that was not come by before; one without an entry is built in.
    fn enter(&mut self, index: &'a ModuleIndex, name: &'a str) -> Option<OpenModule<'a>> {
        let (name, module) = index.modules.get_key_value(name)?;
        self.seen.insert(name).then(|| OpenModule {
            name,
            dependencies: module.dependencies.iter(),
            soft_dependencies: module.soft_dependencies.iter(),
            alias: None,
        })
    }
}

/// A module whose dependencies are being loaded.
#[derive(Debug)]
struct OpenModule<'a> {
    name: &'a str,
    dependencies: slice::Iter<'a, String>,
    soft_dependencies: slice::Iter<'a, String>,
    /// The one of those that stands for several, until all of them are loaded.
    alias: Option<&'a str>,
}

impl<'a> OpenModule<'a> {
    fn next_needed(
        &mut self,
        index: &'a ModuleIndex,
        progress: &mut Progress<'a>,
    ) -> Option<&'a str> {
        loop {
            if let Some(alias) = self.alias {
                let meant = progress.aliases.entry(alias);
                if let Some(name) =
                    meant.or_insert_with(|| index.meant_by(alias).iter()).next_back()
                {
                    return Some(name);
                }
                self.alias = None;
            }
            // The last first, as `modprobe` has it.
            let Some(name) = self.soft_dependencies.next_back() else {
                return self.dependencies.next_back().map(String::as_str);
            };
            if index.modules.contains_key(name) {
                return Some(name);
            }
            self.alias = Some(name);
        }
    }
}

#[cfg(test)]
mod tests;
