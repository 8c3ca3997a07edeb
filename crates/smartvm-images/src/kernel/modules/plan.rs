//! Which modules go along, and in which order they are loaded.

use std::collections::BTreeSet;

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
        let mut seen = BTreeSet::new();
        for name in WANTED {
            if self.modules.contains_key(name) {
                self.load_after_dependencies(name, &mut seen, &mut plan.load);
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
        seen: &mut BTreeSet<&'a str>,
        load: &mut Vec<String>,
    ) {
        let mut stack = vec![(name, false)];
        while let Some((name, dependencies_done)) = stack.pop() {
            if dependencies_done {
                load.push(name.to_owned());
                continue;
            }
            // Without an entry it is built in.
            let Some(module) = self.modules.get(name) else { continue };
            if !seen.insert(name) {
                continue;
            }
            stack.push((name, true));
            let soft = module.soft_dependencies.iter().flat_map(|name| self.resolve(name));
            stack.extend(
                module
                    .dependencies
                    .iter()
                    .map(String::as_str)
                    .chain(soft)
                    .map(|name| (name, false)),
            );
        }
    }
}

#[cfg(test)]
mod tests;
