//! HTTPS: whom the command trusts.

mod support;

use std::path::Path;

use serde_json::json;
use smartvm_images::Sha256Digest;
use smartvm_images::base_image::Arch;
use smartvm_testkit::http::{Answer, Certificate, HttpServer};
use support::{Said, run, said, smartvm};

const KERNEL: &[u8] = b"a kernel";
const ROOT: &[u8] = b"a root file system";

/// A bundle behind a certificate.
fn start(certificate: &Certificate) -> HttpServer {
    HttpServer::start_tls(certificate, |request| match request.path.as_str() {
        "/manifest.json" => {
            let manifest = json!({
                "schemaVersion": 1, "bundleId": "web", "arch": Arch::HOST.as_str(),
                "firecrackerVersion": "v1.12.1", "rootfsType": "ext4",
                "kernel": { "url": "vmlinux", "sha256": Sha256Digest::of(KERNEL).to_string() },
                "rootfs": { "url": "root", "sha256": Sha256Digest::of(ROOT).to_string() },
            });
            Answer::new(200, manifest.to_string())
        }
        "/vmlinux" => Answer::new(200, KERNEL),
        "/root" => Answer::new(200, ROOT),
        _ => Answer::not_found(),
    })
}

/// Pulls what is at `url`, with `trusted` as the only authority.
fn pull(dir: &Path, trusted: &Certificate, url: &str) -> Said {
    let authority = dir.join("authority.pem");
    fs_err::write(&authority, trusted.authority()).expect("the directory is the test's");
    let mut command = smartvm(dir);
    command.env("SSL_CERT_FILE", &authority).args(["image", "pull", url]);
    said(command.output().expect("the command was built"))
}

#[test]
fn a_server_with_an_unknown_authority_is_refused_at_once_and_nothing_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(&Certificate::for_localhost("ours"));
    let another = Certificate::for_localhost("another");
    let refused = pull(dir.path(), &another, &server.url("/manifest.json"));
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("SSL_CERT_FILE"), "{}", refused.stderr);
    assert_eq!((server.connections(), server.requests()), (1, vec![]), "it is not tried again");
    let kept = run(dir.path(), &["image", "list", "--json"]);
    assert_eq!((kept.code, kept.stdout.trim()), (0, "[]"));
}

#[test]
fn a_server_with_a_trusted_authority_is_taken_from() {
    let dir = tempfile::tempdir().unwrap();
    let certificate = Certificate::for_localhost("ours");
    let server = start(&certificate);
    let pulled = pull(dir.path(), &certificate, &server.url("/manifest.json"));
    assert_eq!(pulled.code, 0, "{}", pulled.stderr);
    let bundle = dir.path().join("data/base-images/web");
    assert_eq!(fs_err::read(bundle.join("vmlinux")).unwrap(), KERNEL);
    assert_eq!(fs_err::read(bundle.join("root")).unwrap(), ROOT);
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let certificate = Certificate::for_localhost("ours");
    let server = start(&certificate);
    let url = server.url("/manifest.json").replace("localhost", "127.0.0.1");
    let refused = pull(dir.path(), &certificate, &url);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert_eq!(server.requests(), []);
}
