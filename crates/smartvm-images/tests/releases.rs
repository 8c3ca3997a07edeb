//! Firecracker's releases, from a page that behaves and from one that does not.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use smartvm_images::base_image::Arch;
use smartvm_images::{
    Downloader, DownloaderOptions, InstalledRelease, ReleaseError, ReleaseSource, ReleaseStore,
    ReleaseVersion,
};
use smartvm_testkit::http::{Answer, FakeReleases, HttpServer};

const OLD: ReleaseVersion = ReleaseVersion::new(1, 9, 1);
const NEW: ReleaseVersion = ReleaseVersion::new(1, 12, 1);

fn downloader() -> Downloader {
    Downloader::new(DownloaderOptions {
        tries: 2,
        first_pause: Duration::from_millis(1),
        ..DownloaderOptions::default()
    })
    .unwrap()
}

fn page() -> FakeReleases {
    let arch = Arch::HOST.as_str();
    FakeReleases::start("v1.12.1")
        .with_release("v1.12.1", arch, b"new vmm", b"new jailer")
        .with_release("v1.9.1", arch, b"old vmm", b"old jailer")
}

fn source(page: &FakeReleases) -> ReleaseSource {
    page.url().parse().unwrap()
}

struct Home {
    dir: tempfile::TempDir,
    store: ReleaseStore,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = ReleaseStore::open(&dir.path().join("firecracker")).unwrap();
        Self { dir, store }
    }

    async fn ensure(
        &self,
        version: ReleaseVersion,
        arch: Arch,
        page: &FakeReleases,
    ) -> Result<InstalledRelease, ReleaseError> {
        self.store.ensure(version, arch, &source(page), &downloader(), &()).await
    }

    /// What is in the store.
    fn names(&self) -> Vec<String> {
        let entries = fs_err::read_dir(self.store.dir()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn archive_path(version: &str) -> String {
    format!("/files/{version}/firecracker-{version}-{}.tgz", Arch::HOST)
}

#[tokio::test]
async fn the_latest_release_is_installed_whole_and_once() {
    let (page, home) = (page(), Home::new());
    let latest = ReleaseStore::latest(&source(&page), &downloader()).await.unwrap();
    assert_eq!(latest, NEW);
    for _ in 0..2 {
        let ensured = home.ensure(NEW, Arch::HOST, &page);
        let release = ensured.await.unwrap();
        assert_eq!(fs_err::read(&release.firecracker).unwrap(), b"new vmm");
        assert_eq!(fs_err::read(&release.jailer).unwrap(), b"new jailer");
        for program in [&release.firecracker, &release.jailer] {
            assert_eq!(fs_err::metadata(program).unwrap().permissions().mode() & 0o777, 0o755);
        }
        assert!(release.is_default);
    }
    assert_eq!(page.server().count(&archive_path("v1.12.1")), 1);
    assert_eq!(home.names(), ["v1.12.1"], "nothing else is left");
}

#[tokio::test]
async fn many_callers_cause_one_install() {
    let (page, home) = (page(), Home::new());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (store, source, downloader) = (home.store.clone(), source(&page), downloader());
        tasks.spawn(async move {
            store.ensure(NEW, Arch::HOST, &source, &downloader, &()).await.unwrap().version
        });
    }
    assert_eq!(tasks.join_all().await, [NEW; 20]);
    assert_eq!(page.server().count(&archive_path("v1.12.1")), 1);
}

#[tokio::test]
async fn the_newest_is_used_until_another_is_chosen_and_again_when_that_goes() {
    let (page, home) = (page(), Home::new());
    for version in [OLD, NEW] {
        let ensured = home.ensure(version, Arch::HOST, &page);
        ensured.await.unwrap();
    }
    let used = || {
        let all = home.store.list().unwrap();
        assert!(all.windows(2).all(|pair| pair[0].version < pair[1].version));
        let used: Vec<_> = all.iter().filter(|release| release.is_default).collect();
        assert_eq!(used.len(), 1, "{all:?}");
        used[0].version
    };
    assert_eq!(used(), NEW);
    assert!(home.store.set_default(OLD).unwrap().is_default);
    assert_eq!(used(), OLD);
    home.store.delete(OLD).unwrap();
    assert_eq!(used(), NEW);
    for error in [home.store.delete(OLD).unwrap_err(), home.store.set_default(OLD).unwrap_err()] {
        assert_eq!(error.code(), "FIRECRACKER_NOT_FOUND");
        assert!(error.to_string().contains("there is: v1.12.1"), "{error}");
        assert_eq!(error.hint().unwrap(), "install it: smartvm firecracker install v1.9.1");
    }
}

#[tokio::test]
async fn an_archive_that_is_not_what_its_checksum_says_is_not_unpacked() {
    let (page, home) = (page(), Home::new());
    let name = format!("v1.12.1/firecracker-v1.12.1-{}.tgz", Arch::HOST);
    page.put(&name, b"evil".to_vec());
    let ensured = home.ensure(NEW, Arch::HOST, &page);
    let error = ensured.await.unwrap_err();
    assert_eq!(error.code(), "DOWNLOAD_FAILED");
    assert!(matches!(error, ReleaseError::Download { .. }), "{error:?}");
    assert!(!home.store.dir().join("v1.12.1").exists());
}

#[tokio::test]
async fn a_checksum_that_is_none_or_missing_is_a_failure() {
    let (page, home) = (page(), Home::new());
    let name = format!("v1.12.1/firecracker-v1.12.1-{}.tgz.sha256.txt", Arch::HOST);
    page.put(&name, b"<html>".to_vec());
    let ensured = home.ensure(NEW, Arch::HOST, &page);
    let error = ensured.await.unwrap_err();
    assert!(matches!(error, ReleaseError::Checksum { .. }), "{error:?}");
    let missing = ReleaseVersion::new(9, 9, 9);
    let ensured = home.ensure(missing, Arch::HOST, &page);
    let error = ensured.await.unwrap_err();
    assert_eq!(error.code(), "DOWNLOAD_FAILED");
    assert!(error.hint().unwrap().contains("whether there is a release v9.9.9"), "{error:?}");
    assert!(home.store.list().unwrap().is_empty());
}

#[tokio::test]
async fn a_hostile_archive_leaves_nothing_although_its_checksum_is_right() {
    let home = Home::new();
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..6].copy_from_slice(b"../../");
    header.set_size(0);
    header.set_cksum();
    tar.append(&header, &[][..]).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &tar.into_inner().unwrap()).unwrap();
    let page = FakeReleases::start("v1.12.1").with_archive(
        "v1.12.1",
        Arch::HOST.as_str(),
        gzip.finish().unwrap(),
    );
    let ensured = home.ensure(NEW, Arch::HOST, &page);
    let error = ensured.await.unwrap_err();
    assert!(matches!(error, ReleaseError::Unpack { .. }), "{error:?}");
    assert!(!home.names().iter().any(|name| !name.ends_with(".lock")), "{:?}", home.names());
    assert_eq!(fs_err::read_dir(home.dir.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_page_that_does_not_lead_to_a_version_is_a_failure_to_find_it_out() {
    let cases: [fn(&str) -> Answer; 3] = [
        |_| Answer::new(200, "<html>"),
        |_| Answer::new(404, ""),
        |path| {
            if path.ends_with("/login") { Answer::new(200, "") } else { Answer::redirect("/login") }
        },
    ];
    for case in cases {
        let server = HttpServer::start(move |request| case(&request.path));
        let source = server.url("/releases").parse().unwrap();
        let error = ReleaseStore::latest(&source, &downloader()).await.unwrap_err();
        assert_eq!(error.code(), "VERSION_FETCH_FAILED", "{error}");
    }
}

#[tokio::test]
async fn a_firecracker_for_another_processor_is_not_installed() {
    let (page, home) = (page(), Home::new());
    let other = if Arch::HOST == Arch::X86_64 { Arch::Aarch64 } else { Arch::X86_64 };
    let ensured = home.ensure(NEW, other, &page);
    assert_eq!(ensured.await.unwrap_err().code(), "FIRECRACKER_WRONG_ARCH");
    assert!(page.server().requests().is_empty());
}

#[test]
fn a_store_that_others_can_write_to_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    fs_err::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let error = ReleaseStore::open(dir.path()).unwrap_err();
    assert_eq!(error.code(), "UNSAFE_DIRECTORY");
}

#[test]
fn a_directory_without_both_programs_is_no_release() {
    let home = Home::new();
    let dir = home.store.dir().join("v1.12.1");
    fs_err::create_dir(&dir).unwrap();
    fs_err::write(dir.join("firecracker"), "").unwrap();
    for other in ["~draft-v1.13.0", "junk"] {
        fs_err::create_dir(home.store.dir().join(other)).unwrap();
    }
    assert!(home.store.list().unwrap().is_empty());
    assert!(Path::new(&dir).exists());
}
