//! Any bytes as the manifest of a hosted base image.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smartvm_images::base_image::HostedManifest;

fuzz_target!(|bytes: &[u8]| {
    match HostedManifest::parse(bytes) {
        Ok(manifest) => {
            let id = manifest.bundle_id().as_str();
            assert!(!id.contains('/') && id != "." && id != "..");
            for artifact in [manifest.kernel(), manifest.rootfs()] {
                let name = artifact.file_name.as_ref().map(|name| name.as_str());
                assert!(name.is_none_or(|name| !name.contains('/') && name != ".."));
            }
            // What is written reads back as the same.
            let text = serde_json::to_vec(&manifest).expect("a manifest can be written");
            assert_eq!(HostedManifest::parse(&text).expect("it is one"), manifest);
        }
        Err(error) => assert!(!error.to_string().is_empty() && !error.code().is_empty()),
    }
});
