//! What a manager fetches, from servers on the loopback interface.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::sync::Arc;

use smartvm::images::base_image::{Arch, EnsureBaseImage};
use smartvm::images::{ReleaseSource, ReleaseVersion};
use smartvm::{SmartVm, SmartVmOptions};
use smartvm_testkit::TestHome;
use smartvm_testkit::http::{Answer, FakeReleases, HttpServer};

/// A page whose Firecracker is a program of this host.
fn page() -> FakeReleases {
    let program = fs_err::read("/bin/true").unwrap();
    let arch = Arch::HOST.as_str();
    FakeReleases::start("v1.12.1")
        .with_release("v1.12.1", arch, &program, &program)
        .with_release("v1.9.1", arch, &program, &program)
}

fn options(home: &TestHome, page: &FakeReleases) -> SmartVmOptions {
    SmartVmOptions {
        data_dir: home.data_dir().to_owned(),
        runtime_dir: home.runtime_dir().to_owned(),
        release_url: page.url().parse::<ReleaseSource>().unwrap(),
        ..SmartVmOptions::default()
    }
}

#[tokio::test]
async fn without_a_firecracker_the_latest_release_is_installed_and_then_used_without_asking() {
    let (home, page) = (TestHome::new(), page());
    let smartvm = SmartVm::new(options(&home, &page)).unwrap();
    let binary = smartvm.ensure_binary(&()).await.unwrap();
    assert_eq!(binary.path(), home.data_dir().join("firecracker/v1.12.1/firecracker"));
    let asked = page.server().requests().len();
    assert_eq!(smartvm.ensure_binary(&()).await.unwrap(), binary);
    assert_eq!(page.server().requests().len(), asked);
}

#[tokio::test]
async fn a_version_that_is_asked_for_is_installed_beside_others() {
    let (home, page) = (TestHome::new(), page());
    SmartVm::new(options(&home, &page)).unwrap().ensure_binary(&()).await.unwrap();
    let mut options = options(&home, &page);
    options.firecracker_version = Some(ReleaseVersion::new(1, 9, 1));
    let missing = options.find_binary().unwrap_err();
    assert!(missing.to_string().contains("firecracker/v1.9.1/firecracker"), "{missing}");
    let smartvm = SmartVm::new(options).unwrap();
    let binary = smartvm.ensure_binary(&()).await.unwrap();
    assert_eq!(binary.path(), home.data_dir().join("firecracker/v1.9.1/firecracker"));
    assert_eq!(page.server().count("/releases/latest"), 1, "the version was said");
}

#[tokio::test]
async fn a_firecracker_that_was_named_is_used_as_it_is() {
    let (home, page) = (TestHome::new(), page());
    let mut options = options(&home, &page);
    options.firecracker_binary_path = Some("/bin/true".into());
    let smartvm = SmartVm::new(options.clone()).unwrap();
    assert!(smartvm.ensure_binary(&()).await.is_ok());
    options.firecracker_binary_path = Some("/no/firecracker".into());
    let smartvm = SmartVm::new(options).unwrap();
    let error = smartvm.ensure_binary(&()).await.unwrap_err();
    assert_eq!(error.code(), "FIRECRACKER_NOT_FOUND");
    assert!(page.server().requests().is_empty());
}

#[tokio::test]
async fn a_page_that_fails_is_told_by_its_code() {
    let home = TestHome::new();
    let page = FakeReleases::start("no-version");
    let smartvm = SmartVm::new(options(&home, &page)).unwrap();
    let error = smartvm.ensure_binary(&()).await.unwrap_err();
    assert_eq!(error.code(), "VERSION_FETCH_FAILED");
    assert!(error.hint().unwrap().contains("smartvm firecracker install v"), "{error:?}");
    let error = smartvm.ensure_base_image(&EnsureBaseImage::default(), &()).await.unwrap_err();
    assert_eq!(error.code(), "VERSION_FETCH_FAILED");
}

#[tokio::test]
async fn kernels_and_roots_are_downloaded_by_address_and_name() {
    let (home, page) = (TestHome::new(), page());
    let server = HttpServer::start(|request| match request.path.as_str() {
        "/k" => Answer::file(request, &Arc::new(b"kernel".to_vec()), "\"k\""),
        _ => Answer::not_found(),
    });
    let smartvm = SmartVm::new(options(&home, &page)).unwrap();
    let name = "vmlinux".parse().unwrap();
    let path = smartvm.download_kernel(&server.url("/k"), &name, &()).await.unwrap();
    assert_eq!(path, home.data_dir().join("downloads/kernels/vmlinux"));
    assert_eq!(fs_err::read(&path).unwrap(), b"kernel");
    for url in [server.url("/none"), "file:///etc/passwd".to_owned()] {
        let error = smartvm.download_rootfs(&url, &name, &()).await.unwrap_err();
        assert_eq!(error.code(), "DOWNLOAD_FAILED");
    }
}
