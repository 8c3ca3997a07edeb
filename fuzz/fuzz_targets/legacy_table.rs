//! Any bytes as a table of the old iptables.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smartvm_network::Subnet;
use smartvm_network::nft::{ForwardHook, LegacyTable};

fuzz_target!(|input: (u16, u16, &[u8])| {
    let (first, policy, bytes) = input;
    let hook = ForwardHook { first: first.into(), policy: policy.into() };
    if let Some(table) = LegacyTable::read("filter", hook, bytes.to_vec()) {
        let bridge = "svbr0".parse().expect("it is a name");
        if let Some(block) = table.block(&bridge, Subnet::default(), Some("eth0"), true) {
            assert!(!block.stops.is_empty() && !block.remedies.is_empty());
        }
    }
});
