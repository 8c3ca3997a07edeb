//! Any bytes as a line of Firecracker's log.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smartvm_firecracker::LogLine;

fuzz_target!(|bytes: &[u8]| {
    let line = LogLine::parse(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert_eq!(line.to_string(), text);
    }
});
