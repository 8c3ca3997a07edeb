//! The names of the files in a snapshot's directory.

pub(super) const MANIFEST: &str = "manifest.json";
/// Devices and processors, in Firecracker's own form.
pub(super) const VMSTATE: &str = "vmstate";
/// The guest's memory, or what has changed of it.
pub(super) const MEMORY: &str = "memory";
/// One file a captured drive, named by its id.
pub(super) const DRIVES: &str = "drives";
/// The signature of the manifest, if it has one.
pub(super) const SIGNATURE: &str = "manifest.json.sig";
/// That this store made the snapshot itself.
pub(super) const ORIGIN: &str = "origin";
/// Which files were found to be what the manifest says, and what they looked like then.
pub(super) const VERIFIED: &str = "verified.json";
