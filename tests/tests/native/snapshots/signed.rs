//! Snapshots that must be signed.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::{Value, json};
use smartvm::snapshot::RestoreVm;

use super::{full, guest, name, restored, runs};
use crate::support::Bench;

/// As `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` write them.
pub(super) const SECRET: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIAynHSX7rgUxncjgzeV/eN+YqK7Cf/coW2SwFTJPdSEm\n\
    -----END PRIVATE KEY-----\n";
pub(super) const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEA2YFFctE5kUkvQi2/i37PHIm3mx3g//q679S5deHsXyU=\n\
    -----END PUBLIC KEY-----\n";

/// A manager that restores only what is signed, and the secret key.
fn strict(dir: &tempfile::TempDir) -> (Bench, PathBuf) {
    let (secret, public) = (dir.path().join("secret.pem"), dir.path().join("public.pem"));
    fs_err::write(&secret, SECRET).unwrap();
    fs_err::set_permissions(&secret, PermissionsExt::from_mode(0o600)).unwrap();
    fs_err::write(&public, PUBLIC).unwrap();
    (Bench::with(|options| options.verify_key = Some(public)), secret)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_snapshot_that_is_signed_by_the_key_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (bench, secret) = strict(&dir);
    let vm = guest(&bench).await;
    vm.create_snapshot(full("unsigned")).await.unwrap();
    let mut request = full("signed");
    request.sign = Some(secret);
    let signed = vm.create_snapshot(request).await.unwrap();
    vm.cleanup().await.unwrap();

    let refused = restored(&bench, RestoreVm::new(name("unsigned"))).await.unwrap_err();
    assert_eq!(refused.code(), "SNAPSHOT_UNSIGNED");
    let vm = restored(&bench, RestoreVm::new(name("signed"))).await.unwrap();
    runs(&vm).await;
    vm.cleanup().await.unwrap();

    let path = signed.dir().join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs_err::read(&path).unwrap()).unwrap();
    manifest["createdAtMs"] = json!(1);
    fs_err::write(path, serde_json::to_vec(&manifest).unwrap()).unwrap();
    let refused = restored(&bench, RestoreVm::new(name("signed"))).await.unwrap_err();
    assert_eq!(refused.code(), "SNAPSHOT_WRONG_SIGNATURE");
    assert_eq!(bench.vm_dirs(), Vec::<PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_signed_manifest_does_not_vouch_for_is_refused_although_it_was_stamped() {
    let dir = tempfile::tempdir().unwrap();
    let (bench, secret) = strict(&dir);
    let vm = guest(&bench).await;
    let mut request = full("one");
    request.sign = Some(secret);
    let snapshot = vm.create_snapshot(request).await.unwrap();
    vm.cleanup().await.unwrap();
    let mut memory = fs_err::read(snapshot.memory_path()).unwrap();
    memory[0] ^= 1;
    fs_err::write(snapshot.memory_path(), memory).unwrap();
    let refused = restored(&bench, RestoreVm::new(name("one"))).await.unwrap_err();
    assert_eq!(refused.code(), "SNAPSHOT_TAMPERED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_others_can_read_signs_nothing_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (bench, secret) = strict(&dir);
    fs_err::set_permissions(&secret, PermissionsExt::from_mode(0o644)).unwrap();
    let vm = guest(&bench).await;
    let mut request = full("one");
    request.sign = Some(secret);
    assert_eq!(vm.create_snapshot(request).await.unwrap_err().code(), "KEY_UNUSABLE");
    assert_eq!(super::entries(&bench), Vec::<String>::new());
    runs(&vm).await;
    vm.cleanup().await.unwrap();
}
