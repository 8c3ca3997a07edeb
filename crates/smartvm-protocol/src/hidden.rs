//! Bytes that no log shows.

use std::fmt;
use std::ops::Deref;

/// Bytes which may be secret or are only many: printed for debugging they are their number.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Hidden(Vec<u8>);

impl Hidden {
    /// The bytes themselves.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl From<Vec<u8>> for Hidden {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for Hidden {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl Deref for Hidden {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} bytes]", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_not_in_a_log() {
        let hidden = Hidden::from(b"TOKEN=swordfish".as_slice());
        assert_eq!(format!("{hidden:?}"), "[15 bytes]");
        assert_eq!(&*hidden, b"TOKEN=swordfish");
    }
}
