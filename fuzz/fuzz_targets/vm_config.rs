//! A VM's configuration.

#![no_main]

use libfuzzer_sys::fuzz_target;
use smartvm::VmConfig;

fuzz_target!(|text: &str| {
    let Ok(config) = VmConfig::from_json(text) else { return };
    if let Err(error) = config.validate() {
        assert!(!error.to_string().is_empty());
    }
});
