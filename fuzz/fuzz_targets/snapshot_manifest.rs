//! Any bytes as the manifest of a snapshot. What is read can be written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smartvm::snapshot::SnapshotManifest;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(manifest) = SnapshotManifest::parse(bytes) {
        let text = serde_json::to_vec(&manifest).expect("a manifest can be written");
        assert_eq!(SnapshotManifest::parse(&text).expect("and read again"), manifest);
    }
});
