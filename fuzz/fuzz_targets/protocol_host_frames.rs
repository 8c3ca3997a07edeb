//! Any bytes of a host, in pieces as their first byte says, as the agent in a guest reads them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smartvm_protocol::{Decoder, Frame, HostFrame};

fuzz_target!(|bytes: &[u8]| {
    let Some((piece, bytes)) = bytes.split_first() else { return };
    let mut decoder = Decoder::<HostFrame>::default();
    for mut piece in bytes.chunks(usize::from(*piece).max(1)) {
        while !piece.is_empty() {
            match decoder.next(&mut piece) {
                Ok(Some(frame)) => {
                    let mut again = Vec::new();
                    frame.encode(&mut again).expect("what was received can be sent");
                    let read = Decoder::default().next(&mut &again[..]);
                    assert_eq!(read.expect("it can be read again"), Some(frame));
                }
                Ok(None) => {}
                Err(_) => return,
            }
        }
    }
});
