//! Any bytes as a request to the owner of a VM.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smartvm::control::ControlCall;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(call) = ControlCall::parse(bytes) {
        let text = serde_json::to_vec(&call).expect("a request can be written");
        assert_eq!(ControlCall::parse(&text).expect("and read again"), call);
    }
});
