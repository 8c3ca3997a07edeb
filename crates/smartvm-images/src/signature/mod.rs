//! Signatures over manifests, which hold the digests of everything else.
//!
//! Ed25519 with keys as `openssl genpkey -algorithm ed25519` makes them: the secret one in PKCS#8 and PEM, the public one
//! (`openssl pkey -pubout`) in SPKI and PEM. What is signed begins with what it is ([`SignedKind`]), so
//! that a signature of one kind is none of another. A signature is a file beside the manifest, [`SUFFIX`] behind its
//! name: 64 bytes in base64 and a newline.
//!
//! Verified are the bytes, before anything of them is parsed.

mod kind;
mod pem;
mod signing_key;
mod text;
mod verifying_key;

pub use kind::SignedKind;
pub use pem::KeyError;
pub use signing_key::SigningKey;
pub use text::{MAX_SIGNATURE_BYTES, SUFFIX};
pub use verifying_key::{SignatureError, VerifyingKey};
