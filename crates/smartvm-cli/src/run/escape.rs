//! The keys that talk to us instead of the guest.
//!
//! On a raw terminal every key goes to the guest, Ctrl-C too. Ctrl-] takes the
//! next key for us:
//!
//! | key | effect |
//! |---|---|
//! | `p` | pause the guest, or resume it |
//! | `q` | stop the guest gently |
//! | `k` | end the guest at once |
//! | `?` | list these keys |
//! | Ctrl-] | send one Ctrl-] to the guest |
//!
//! Any other key after Ctrl-] is dropped and reported, so that a slip never
//! reaches the guest. Letters count in either case.

/// Ctrl-], as a terminal sends it.
pub(crate) const PREFIX: u8 = 0x1d;

/// What `Ctrl-] ?` shows.
pub(crate) const HELP: &str = "keys: Ctrl-] p pause or resume, Ctrl-] q stop, \
     Ctrl-] k end at once, Ctrl-] Ctrl-] send Ctrl-], Ctrl-] ? this list";

/// One thing that the keyboard asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    /// Bytes for the guest.
    Guest(Vec<u8>),
    /// Pause a running guest, resume a paused one.
    PauseOrResume,
    /// Stop the guest gently.
    Stop,
    /// End the guest at once.
    Kill,
    /// List the keys.
    Help,
    /// A key that means nothing after the prefix.
    Unknown(u8),
}

/// Splits typed bytes into what the guest gets and what is for us.
///
/// Pure: it remembers only whether the last byte was the prefix.
#[derive(Debug, Default)]
pub(crate) struct Escape {
    prefixed: bool,
}

impl Escape {
    /// Takes bytes in the order typed. Consecutive bytes for the guest come as one.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<Key> {
        let mut keys = Vec::new();
        for &byte in bytes {
            if self.prefixed {
                self.prefixed = false;
                match byte {
                    PREFIX => push_guest(&mut keys, PREFIX),
                    b'p' | b'P' => keys.push(Key::PauseOrResume),
                    b'q' | b'Q' => keys.push(Key::Stop),
                    b'k' | b'K' => keys.push(Key::Kill),
                    b'?' => keys.push(Key::Help),
                    other => keys.push(Key::Unknown(other)),
                }
            } else if byte == PREFIX {
                self.prefixed = true;
            } else {
                push_guest(&mut keys, byte);
            }
        }
        keys
    }
}

fn push_guest(keys: &mut Vec<Key>, byte: u8) {
    if let Some(Key::Guest(bytes)) = keys.last_mut() {
        bytes.push(byte);
    } else {
        keys.push(Key::Guest(vec![byte]));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn guest(text: &str) -> Key {
        Key::Guest(text.as_bytes().to_vec())
    }

    fn guest_bytes(keys: &[Key]) -> Vec<u8> {
        let bytes = keys.iter().filter_map(|k| if let Key::Guest(b) = k { Some(b) } else { None });
        bytes.flatten().copied().collect()
    }

    #[test]
    fn the_documented_keys_do_what_the_table_says() {
        let keys = Escape::default().feed(b"a\x1dpb\x1dq\x1dK\x1d?\x1d\x1dc");
        assert_eq!(
            keys,
            [
                guest("a"),
                Key::PauseOrResume,
                guest("b"),
                Key::Stop,
                Key::Kill,
                Key::Help,
                guest("\x1dc")
            ]
        );
    }

    #[test]
    fn ctrl_c_goes_to_the_guest() {
        assert_eq!(Escape::default().feed(b"\x03"), [guest("\x03")]);
    }

    #[test]
    fn an_unknown_key_is_reported_and_not_sent() {
        let keys = Escape::default().feed(b"\x1dxy");
        assert_eq!(keys, [Key::Unknown(b'x'), guest("y")]);
    }

    #[test]
    fn the_prefix_is_remembered_between_reads() {
        let mut escape = Escape::default();
        assert_eq!(escape.feed(b"\x1d"), []);
        assert_eq!(escape.feed(b"q"), [Key::Stop]);
    }

    proptest! {
        #[test]
        fn how_the_bytes_are_cut_into_reads_changes_nothing(
            bytes in proptest::collection::vec(prop_oneof![Just(PREFIX), any::<u8>()], 0..64),
            cut in 0_usize..64,
        ) {
            let cut = cut.min(bytes.len());
            let whole = Escape::default().feed(&bytes);
            let mut escape = Escape::default();
            let mut parts = escape.feed(&bytes[..cut]);
            parts.extend(escape.feed(&bytes[cut..]));
            prop_assert_eq!(guest_bytes(&whole), guest_bytes(&parts));
            let commands = |keys: &[Key]| keys.iter().filter(|k| !matches!(k, Key::Guest(_))).cloned().collect::<Vec<_>>();
            prop_assert_eq!(commands(&whole), commands(&parts));
        }

        #[test]
        fn without_the_prefix_everything_reaches_the_guest(
            bytes in proptest::collection::vec(any::<u8>().prop_filter("no prefix", |b| *b != PREFIX), 1..64),
        ) {
            prop_assert_eq!(Escape::default().feed(&bytes), vec![Key::Guest(bytes)]);
        }

        #[test]
        fn a_doubled_prefix_sends_any_bytes_through(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let typed: Vec<u8> = bytes.iter().flat_map(|&b| if b == PREFIX { vec![b, b] } else { vec![b] }).collect();
            prop_assert_eq!(guest_bytes(&Escape::default().feed(&typed)), bytes);
        }
    }
}
