//! The form of a signature in a file.

use base64ct::{Base64, Encoding};

/// What follows the manifest's name in that of its signature.
pub const SUFFIX: &str = ".sig";

/// The longest file of a signature that is read, in bytes.
pub const MAX_SIGNATURE_BYTES: u64 = 256;

/// The length of a signature, in bytes.
const LENGTH: usize = 64;

pub(super) fn write(signature: &[u8]) -> String {
    let mut text = Base64::encode_string(signature);
    text.push('\n');
    text
}

/// Reads a signature; `None` when it is none.
pub(super) fn read(text: &[u8]) -> Option<[u8; LENGTH]> {
    let text = std::str::from_utf8(text).ok()?.trim_end();
    Base64::decode_vec(text).ok()?.try_into().ok()
}
