//! WireGuard's keys: 32 bytes, written as 44 characters of base64.

use std::fmt;
use std::str::FromStr;

use base64ct::{Base64, Encoding};
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// How many bytes a key has.
pub(crate) const KEY_BYTES: usize = 32;

/// A key in base64, as `wg` writes it.
const KEY_CHARACTERS: usize = 44;

/// A private or preshared key.
///
/// Its bytes leave this value only towards the kernel. `Debug` does not show them, there is no
/// `Display`, and they are overwritten when the value is dropped. They are on the heap, so that moving
/// the value leaves no copy behind.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretKey(Box<[u8; KEY_BYTES]>);

/// A public key. It is no secret, and names a peer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; KEY_BYTES]);

/// What was given is not a key. The text is not repeated: it may be one with a typing error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a key must be 32 bytes in base64: 44 characters, the last of them `=`")]
pub struct ParseKeyError;

impl SecretKey {
    /// The bytes, for the message that hands them to the kernel.
    pub(crate) fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Whether all bytes are zero, which the kernel takes for "no key".
    pub(crate) fn is_zero(&self) -> bool {
        self.0.iter().fold(0, |seen, byte| seen | byte) == 0
    }

    /// Compares without telling by the time it takes where the first difference is.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0.iter()).fold(0, |seen, (a, b)| seen | (a ^ b)) == 0
    }
}

impl PublicKey {
    pub(crate) fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl FromStr for SecretKey {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        let mut key = Self(Box::new([0; KEY_BYTES]));
        decode(text, &mut key.0)?;
        Ok(key)
    }
}

impl FromStr for PublicKey {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        let mut bytes = [0; KEY_BYTES];
        decode(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

impl PartialEq for SecretKey {
    fn eq(&self, other: &Self) -> bool {
        self.same_as(other)
    }
}

impl Eq for SecretKey {}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(redacted)")
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Base64::encode_string(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// Decodes in place, in constant time: nothing else gets a copy of the key.
fn decode(text: &str, bytes: &mut [u8; KEY_BYTES]) -> Result<(), ParseKeyError> {
    if text.len() != KEY_CHARACTERS {
        return Err(ParseKeyError);
    }
    match Base64::decode(text, bytes) {
        Ok(decoded) if decoded.len() == KEY_BYTES => Ok(()),
        Ok(_) | Err(_) => Err(ParseKeyError),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8=";

    #[test]
    fn only_32_bytes_of_base64_are_a_key() {
        let key: PublicKey = TEXT.parse().unwrap();
        assert_eq!(key.as_bytes()[..3], *b"@AB");
        assert_eq!(key.to_string(), TEXT);
        let tail = &TEXT[1..];
        for bad in [
            "".to_owned(),
            "test-private-key".to_owned(),
            tail.to_owned(),
            format!("A{TEXT}"),
            format!("-{tail}"),
            format!(" {tail}"),
            // 31 and 33 bytes, and bits that would be lost.
            format!("{}==", &TEXT[..42]),
            format!("{}A", &TEXT[..43]),
            format!("{}9=", &TEXT[..42]),
        ] {
            assert_eq!(bad.parse::<PublicKey>(), Err(ParseKeyError), "{bad:?}");
            assert!(bad.parse::<SecretKey>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let key: SecretKey = TEXT.parse().unwrap();
        assert_eq!(format!("{key:?}"), "SecretKey(redacted)");
        assert!(!format!("{:?}", "secret".parse::<SecretKey>().unwrap_err()).contains("secret"));
    }

    #[test]
    fn a_secret_can_be_overwritten() {
        let mut key: SecretKey = TEXT.parse().unwrap();
        assert!(!key.is_zero());
        key.zeroize();
        assert!(key.is_zero());
    }

    #[test]
    fn secrets_are_told_apart() {
        let key: SecretKey = TEXT.parse().unwrap();
        let mut other = key.clone();
        assert_eq!(key, other);
        other.0[31] ^= 1;
        assert_ne!(key, other);
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(bytes: [u8; 32]) {
            let key = PublicKey::from_bytes(bytes);
            prop_assert_eq!(key.to_string().parse::<PublicKey>(), Ok(key));
            let secret: SecretKey = key.to_string().parse().unwrap();
            prop_assert_eq!(secret.expose(), &bytes);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[A-Za-z0-9+/=é]{0,48}") {
            let _ = text.parse::<SecretKey>();
        }
    }
}
