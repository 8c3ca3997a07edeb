//! Any bytes as what Firecracker answers. The first byte says where the connection was cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smartvm_firecracker::Answer;

fuzz_target!(|bytes: &[u8]| {
    let Some((cut, bytes)) = bytes.split_first() else { return };
    let Ok(Some((answer, length))) = Answer::parse(bytes, false) else {
        let _ = Answer::parse(bytes, true);
        return;
    };
    assert!(length <= bytes.len() && answer.body.len() < length);
    assert!(!answer.fault_message().is_empty());
    // What comes after it changes nothing, and no part of it is an answer already.
    assert_eq!(Answer::parse(&bytes[..length], false), Ok(Some((answer, length))));
    let part = length * usize::from(*cut) / 256;
    assert_eq!(Answer::parse(&bytes[..part], false), Ok(None));
});
