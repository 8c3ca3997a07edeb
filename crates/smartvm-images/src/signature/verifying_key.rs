//! The public key.

use std::path::Path;

use ring::signature::{ED25519, UnparsedPublicKey};
use thiserror::Error;

use super::kind::SignedKind;
use super::pem::{self, KeyError};
use super::text;

/// What comes before the key itself in SPKI: a sequence of the algorithm, 1.3.101.112, and a string of
/// bits (RFC 8410).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The length of a key, in bytes.
const LENGTH: usize = 32;

/// A public Ed25519 key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyingKey([u8; LENGTH]);

/// What is not signed by the key. Nothing of it has been believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// There is no signature.
    #[error("it is not signed")]
    Unsigned,
    /// The signature is another's, or of something else, or none.
    #[error("its signature is not of this key, or it was changed after it was signed")]
    Wrong,
}

impl VerifyingKey {
    /// Reads a key in SPKI and PEM, as `openssl pkey -pubout` writes it.
    ///
    /// # Errors
    /// `KEY_UNUSABLE`.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        const WHAT: &str = "public Ed25519 key in SPKI and PEM";
        let der = pem::read(path, "PUBLIC KEY", WHAT)?;
        let key = der.strip_prefix(&SPKI).and_then(|key| key.try_into().ok());
        key.map(Self).ok_or_else(|| KeyError::Form { path: path.to_owned(), what: WHAT })
    }

    /// Looks whether `signature`, the content of its file if there is one, is of these bytes.
    ///
    /// # Errors
    /// When it is not.
    pub fn verify(
        &self,
        kind: SignedKind,
        bytes: &[u8],
        signature: Option<&[u8]>,
    ) -> Result<(), SignatureError> {
        let signature = text::read(signature.ok_or(SignatureError::Unsigned)?);
        let signature = signature.ok_or(SignatureError::Wrong)?;
        let key = UnparsedPublicKey::new(&ED25519, &self.0);
        key.verify(&kind.message(bytes), &signature).map_err(|_| SignatureError::Wrong)
    }
}

#[cfg(test)]
mod tests;
