//! What a signature is of.

/// The kinds of manifests that are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignedKind {
    /// A snapshot's manifest.
    Snapshot,
    /// The manifest of a base image.
    BaseImage,
}

impl SignedKind {
    /// What is signed for these bytes. No kind's name has a zero, so no two things are the same bytes.
    pub(super) fn message(self, bytes: &[u8]) -> Vec<u8> {
        let name: &[u8] = match self {
            Self::Snapshot => b"smartvm snapshot manifest 1",
            Self::BaseImage => b"smartvm base image manifest 1",
        };
        [name, b"\0", bytes].concat()
    }
}
