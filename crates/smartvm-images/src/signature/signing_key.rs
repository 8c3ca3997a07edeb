//! The secret key.

use std::path::Path;

use ring::signature::Ed25519KeyPair;

use super::kind::SignedKind;
use super::pem::{self, KeyError};
use super::text;

/// A secret Ed25519 key. It says nothing of itself.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// Reads a key in PKCS#8 and PEM, as `openssl genpkey -algorithm ed25519` makes it. The file must be
    /// ours, and others must not be able to read it.
    ///
    /// # Errors
    /// `KEY_UNUSABLE`.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        const WHAT: &str = "secret Ed25519 key in PKCS#8 and PEM";
        pem::check_secret(path)?;
        let der = pem::read(path, "PRIVATE KEY", WHAT)?;
        // OpenSSL leaves the public half out, which ring otherwise wants to compare.
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der);
        pair.map(Self).map_err(|_| KeyError::Form { path: path.to_owned(), what: WHAT })
    }

    /// The signature of these bytes, as it is kept in a file.
    #[must_use]
    pub fn sign(&self, kind: SignedKind, bytes: &[u8]) -> String {
        text::write(self.0.sign(&kind.message(bytes)).as_ref())
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey")
    }
}
