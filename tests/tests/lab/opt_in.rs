//! The boot of a downloaded base image, for whoever has a network and asks for it.
//!
//! `SMARTVM_RUN_INTEGRATION=true cargo test -p smartvm-tests --test lab -- --ignored opt_in`, where KVM
//! runs Linux guests. Ignored otherwise, since it downloads.
//!
//! | variable | says | default |
//! |---|---|---|
//! | `SMARTVM_RUN_INTEGRATION` | whether to run: `1`, `true`, `yes`, `on` | no |
//! | `SMARTVM_BASE_IMAGE_PRESET` | which base image: `latest`, `lts` | `latest` |
//! | `SMARTVM_BASE_IMAGE_MANIFEST_URL` | its manifest on a server, in place of a preset | none |
//! | `SMARTVM_BASE_IMAGE_MANIFEST_PATH` | its manifest on this host, in place of both | none |
//! | `SMARTVM_BASE_IMAGE_CACHE_DIR` | where it is kept | `base-images` in the data directory |
//! | `SMARTVM_MAX_STORED_BASE_IMAGES` | how many are kept | 2 |
//! | `SMARTVM_FIRECRACKER_VERSION` | which Firecracker runs it | the image's own |
//! | `SMARTVM_ARCH` | the processor | this host's |
//! | `SMARTVM_INTEGRATION_DATA_DIR` | where the rest is kept | `.smartvm-integration` in the temporary directory |
//! | `SMARTVM_RELEASE_URL`, `SMARTVM_BUCKET_URL` | mirrors | the official ones |

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use smartvm::firecracker::api::InstanceState;
use smartvm::images::base_image::{EnsureBaseImage, Preset};
use smartvm::{JailMode, MachineConfig, SmartVm, SmartVmOptions, VmConfig, VmState};

use crate::guest::DEADLINE;

#[expect(clippy::disallowed_methods, reason = "the environment is this test's command line")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn parsed<T: FromStr<Err: Display>>(name: &str) -> Option<T> {
    let value = variable(name)?;
    Some(value.parse().unwrap_or_else(|error| panic!("{name}: {error}")))
}

fn is_asked_for() -> bool {
    let value = variable("SMARTVM_RUN_INTEGRATION").unwrap_or_default().to_lowercase();
    ["1", "true", "yes", "on"].contains(&value.as_str())
}

fn options() -> SmartVmOptions {
    let default_dir = || std::env::temp_dir().join(".smartvm-integration");
    let data_dir = parsed::<PathBuf>("SMARTVM_INTEGRATION_DATA_DIR").unwrap_or_else(default_dir);
    let defaults = SmartVmOptions::default();
    SmartVmOptions {
        runtime_dir: data_dir.join("run"),
        data_dir,
        arch: parsed("SMARTVM_ARCH").unwrap_or(defaults.arch),
        firecracker_version: parsed("SMARTVM_FIRECRACKER_VERSION"),
        base_image_cache_dir: parsed("SMARTVM_BASE_IMAGE_CACHE_DIR"),
        max_stored_base_images: parsed("SMARTVM_MAX_STORED_BASE_IMAGES").unwrap_or_default(),
        base_image_manifest_url: parsed("SMARTVM_BASE_IMAGE_MANIFEST_URL"),
        base_image_manifest_path: parsed("SMARTVM_BASE_IMAGE_MANIFEST_PATH"),
        release_url: parsed("SMARTVM_RELEASE_URL").unwrap_or_default(),
        bucket_url: parsed("SMARTVM_BUCKET_URL").unwrap_or_default(),
        console_capacity: 1 << 20,
        // What is tried is the image.
        jail: JailMode::Off,
        ..defaults
    }
}

#[tokio::test]
#[ignore = "downloads; ask for it with SMARTVM_RUN_INTEGRATION=true"]
async fn a_downloaded_base_image_boots() {
    assert!(is_asked_for(), "ask for it with SMARTVM_RUN_INTEGRATION=true");
    let mut options = options();
    let preset: Preset = parsed("SMARTVM_BASE_IMAGE_PRESET").unwrap_or_default();
    let request = EnsureBaseImage { preset, ..EnsureBaseImage::default() };
    let image = {
        let smartvm = SmartVm::new(options.clone()).unwrap();
        smartvm.ensure_base_image(&request, &()).await.unwrap()
    };
    let bundle = &image.bundle;
    options.firecracker_version.get_or_insert(bundle.firecracker_version);

    let smartvm = SmartVm::new(options).unwrap();
    smartvm.ensure_binary(&()).await.unwrap();
    let config = VmConfig {
        id: Some("smartvm-it".to_owned()),
        machine_config: MachineConfig::new(1, 256),
        ..VmConfig::booting(bundle)
    };
    let vm = smartvm.create_vm(&config).unwrap();
    vm.start().await.unwrap();
    assert_eq!(vm.state(), VmState::Running);
    assert_eq!(vm.info().await.unwrap().state, InstanceState::Running);
    // Its kernel has come as far as the console.
    let mut console = vm.console().unwrap().reader();
    let chunk = tokio::time::timeout(DEADLINE, console.next()).await.unwrap().unwrap();
    assert!(!chunk.bytes.is_empty());
    vm.kill().await.unwrap();
    vm.cleanup().await.unwrap();
    smartvm.cleanup().await.unwrap();
}
