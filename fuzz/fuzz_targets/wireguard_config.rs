//! Any text as the configuration of a WireGuard interface.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smartvm_network::wireguard::WireGuardConfig;

fuzz_target!(|text: &str| {
    let shown = match WireGuardConfig::parse(text) {
        Ok(config) => {
            assert!(!config.addresses.is_empty());
            assert!(config.mtu.is_none_or(|mtu| (576..=9000).contains(&mtu)));
            // What is no secret is shown: public keys and host names.
            return;
        }
        Err(error) => {
            assert!(!error.breaches().is_empty());
            format!("{error} {error:?} {:?}", error.hint())
        }
    };
    // No word of the text that could be a key, or half of one, is repeated.
    for word in text.split_whitespace().filter(|word| word.len() >= 22) {
        assert!(!shown.contains(word), "{shown}");
    }
});
