//! A firewall's file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use smartvm_network::policy::FirewallConfig;

fuzz_target!(|text: &str| {
    if let Err(error) = FirewallConfig::from_json(text) {
        assert!(!error.to_string().is_empty());
    }
});
