//! A page of releases, as Firecracker's looks to a program.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

use super::answer::Answer;
use super::server::HttpServer;

/// Serves `latest`, archives and their checksums below `/releases`.
#[derive(Debug)]
pub struct FakeReleases {
    server: HttpServer,
    files: Arc<Mutex<HashMap<String, Arc<Vec<u8>>>>>,
}

impl FakeReleases {
    /// Starts a page whose latest release is `latest`, such as `v1.12.1`. It has no archives yet.
    #[must_use]
    pub fn start(latest: &str) -> Self {
        let files: Arc<Mutex<HashMap<String, Arc<Vec<u8>>>>> = Arc::default();
        let (served, latest) = (Arc::clone(&files), latest.to_owned());
        let server = HttpServer::start(move |request| {
            let path = request.path.strip_prefix("/releases/").unwrap_or_default();
            if path == "latest" {
                return Answer::redirect(&format!("/releases/tag/{latest}"));
            }
            if path.starts_with("tag/") {
                return Answer::new(200, "<html>a release</html>");
            }
            if let Some(file) = path.strip_prefix("download/") {
                // As the real page does: the files are elsewhere.
                return Answer::redirect(&format!("/files/{file}"));
            }
            let name = request.path.strip_prefix("/files/").unwrap_or_default();
            let files = served.lock().unwrap_or_else(PoisonError::into_inner);
            files.get(name).map_or_else(Answer::not_found, |content| {
                Answer::file(request, content, &format!("\"{}\"", content.len()))
            })
        });
        Self { server, files }
    }

    /// Adds a release with these programs, and its checksum.
    #[must_use]
    pub fn with_release(
        self,
        version: &str,
        arch: &str,
        firecracker: &[u8],
        jailer: &[u8],
    ) -> Self {
        let archive = release_archive(version, arch, firecracker, jailer);
        self.with_archive(version, arch, archive)
    }

    /// Adds any bytes as the archive of a release, and their checksum.
    #[must_use]
    pub fn with_archive(self, version: &str, arch: &str, archive: Vec<u8>) -> Self {
        let name = format!("firecracker-{version}-{arch}.tgz");
        let checksum = format!("{}  {name}\n", sha256(&archive));
        self.put(&format!("{version}/{name}.sha256.txt"), checksum.into_bytes());
        self.put(&format!("{version}/{name}"), archive);
        self
    }

    /// Replaces a file, by its path below `download/`.
    pub fn put(&self, path: &str, content: Vec<u8>) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.insert(path.to_owned(), Arc::new(content));
    }

    /// The address of the page.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url("/releases")
    }

    /// The server, to see what was asked for.
    #[must_use]
    pub fn server(&self) -> &HttpServer {
        &self.server
    }
}

/// An archive as releases have it, with a licence beside the programs.
fn release_archive(version: &str, arch: &str, firecracker: &[u8], jailer: &[u8]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let dir = format!("release-{version}-{arch}");
    let firecracker_path = format!("{dir}/firecracker-{version}-{arch}");
    let jailer_path = format!("{dir}/jailer-{version}-{arch}");
    let licence_path = format!("{dir}/LICENSE");
    for (path, content) in
        [(licence_path, &b"text"[..]), (firecracker_path, firecracker), (jailer_path, jailer)]
    {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        tar.append_data(&mut header, path, content).expect("memory takes all");
    }
    tar.into_inner().and_then(GzEncoder::finish).expect("memory takes all")
}

/// The hash in hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
