use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::super::{SigningKey, text};
use super::*;

/// What `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` wrote.
const SECRET: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIAynHSX7rgUxncjgzeV/eN+YqK7Cf/coW2SwFTJPdSEm\n\
    -----END PRIVATE KEY-----\n";
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEA2YFFctE5kUkvQi2/i37PHIm3mx3g//q679S5deHsXyU=\n\
    -----END PUBLIC KEY-----\n";
const OTHER: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEAOfpCNLd77e7N1TBMo0VLebcmeUHytM+oBL5ckfrX2E4=\n\
    -----END PUBLIC KEY-----\n";

fn file(dir: &Path, name: &str, content: &str, mode: u32) -> PathBuf {
    let path = dir.join(name);
    fs_err::write(&path, content).unwrap();
    fs_err::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    path
}

#[test]
fn what_a_key_of_openssl_signed_is_verified_by_its_other_half_alone() {
    let dir = tempfile::tempdir().unwrap();
    let secret = SigningKey::read(&file(dir.path(), "secret", SECRET, 0o600)).unwrap();
    let public = VerifyingKey::read(&file(dir.path(), "public", PUBLIC, 0o644)).unwrap();
    let other = VerifyingKey::read(&file(dir.path(), "other", OTHER, 0o644)).unwrap();
    let signature = secret.sign(SignedKind::Snapshot, b"manifest");
    let signature = Some(signature.as_bytes());
    public.verify(SignedKind::Snapshot, b"manifest", signature).unwrap();
    let wrong = Err(SignatureError::Wrong);
    assert_eq!(public.verify(SignedKind::Snapshot, b"Manifest", signature), wrong);
    assert_eq!(public.verify(SignedKind::BaseImage, b"manifest", signature), wrong, "another kind");
    assert_eq!(other.verify(SignedKind::Snapshot, b"manifest", signature), wrong);
    assert_eq!(public.verify(SignedKind::Snapshot, b"manifest", Some(b"nonsense")), wrong);
    assert_eq!(public.verify(SignedKind::Snapshot, b"manifest", Some(b"")), wrong);
    let none = public.verify(SignedKind::Snapshot, b"manifest", None);
    assert_eq!(none, Err(SignatureError::Unsigned));
}

#[test]
fn every_changed_bit_of_a_signature_makes_it_a_wrong_one() {
    let dir = tempfile::tempdir().unwrap();
    let secret = SigningKey::read(&file(dir.path(), "secret", SECRET, 0o600)).unwrap();
    let public = VerifyingKey::read(&file(dir.path(), "public", PUBLIC, 0o644)).unwrap();
    let signature = text::read(secret.sign(SignedKind::BaseImage, b"m").as_bytes()).unwrap();
    for bit in 0..signature.len() * 8 {
        let mut changed = signature;
        changed[bit / 8] ^= 1 << (bit % 8);
        let text = text::write(&changed);
        let verified = public.verify(SignedKind::BaseImage, b"m", Some(text.as_bytes()));
        assert_eq!(verified, Err(SignatureError::Wrong), "bit {bit}");
    }
}

#[test]
fn a_secret_key_that_others_can_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for mode in [0o640, 0o604, 0o660, 0o644] {
        let error = SigningKey::read(&file(dir.path(), "secret", SECRET, mode)).unwrap_err();
        assert_eq!(error.code(), "KEY_UNUSABLE");
        assert!(error.hint().unwrap().contains("chmod 600"), "{mode:o}");
    }
}

#[test]
fn what_is_no_key_of_that_kind_is_refused_and_told_how_to_make() {
    let dir = tempfile::tempdir().unwrap();
    let cut = &SECRET[..60];
    let rsa = PUBLIC.replace("MCowBQYDK2Vw", "MCowBQYDK2Vx");
    for content in
        ["", "x", cut, PUBLIC, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"]
    {
        let error = SigningKey::read(&file(dir.path(), "k", content, 0o600)).unwrap_err();
        assert!(error.hint().unwrap().contains("openssl genpkey"), "{content}");
    }
    for content in ["", "x", SECRET, &rsa] {
        let error = VerifyingKey::read(&file(dir.path(), "k", content, 0o600)).unwrap_err();
        assert!(error.hint().unwrap().contains("openssl genpkey"), "{content}");
    }
    assert_eq!(VerifyingKey::read(&dir.path().join("none")).unwrap_err().code(), "KEY_UNUSABLE");
    VerifyingKey::read(dir.path()).unwrap_err();
}
