//! Base images and releases by the command, from servers on the loopback interface.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use smartvm_images::Sha256Digest;
use smartvm_images::base_image::Arch;
use smartvm_testkit::http::{Answer, FakeBucket, FakeReleases, HttpServer};
use support::{Said, run, said, smartvm};

/// At how many moments of a run it is killed.
const MOMENTS: u32 = 24;

/// A server of bundles: `/ID/manifest.json`, `/ID/vmlinux`, `/ID/root`.
struct Bundles {
    server: HttpServer,
    root: Arc<Vec<u8>>,
}

impl Bundles {
    fn start() -> Self {
        let root: Arc<Vec<u8>> = Arc::new(
            (0..3_000_000_u32).map(|n| (n.wrapping_mul(n) >> 7).to_le_bytes()[0]).collect(),
        );
        let served = Arc::clone(&root);
        let server = HttpServer::start(move |request| {
            let mut parts = request.path.trim_start_matches('/').splitn(2, '/');
            let id = parts.next().unwrap_or_default().to_owned();
            match parts.next() {
                Some("manifest.json") => {
                    let kernel = Sha256Digest::of(id.as_bytes()).to_string();
                    let root = Sha256Digest::of(&served).to_string();
                    let manifest = json!({
                        "schemaVersion": 1, "bundleId": id, "arch": Arch::HOST.as_str(),
                        "firecrackerVersion": "v1.12.1", "rootfsType": "ext4",
                        "kernel": { "url": "vmlinux", "sha256": kernel },
                        "rootfs": { "url": "root", "sha256": root, "sizeBytes": served.len() },
                    });
                    Answer::new(200, manifest.to_string())
                }
                Some("vmlinux") => Answer::file(request, &Arc::new(id.into_bytes()), "\"kernel\""),
                Some("root") => Answer::file(request, &served, "\"root\""),
                _ => Answer::not_found(),
            }
        });
        Self { server, root }
    }

    fn url(&self, id: &str) -> String {
        self.server.url(&format!("/{id}/manifest.json"))
    }

    /// Fails unless every directory in the cache that has a bundle's name is one, whole.
    fn assert_whole(&self, cache: &Path) {
        for dir in names(cache).iter().filter(|name| !name.starts_with('~')) {
            let dir_path = cache.join(dir);
            assert_eq!(fs_err::read(dir_path.join("vmlinux")).unwrap(), dir.as_bytes());
            assert!(fs_err::read(dir_path.join("root")).unwrap() == *self.root, "{dir} is cut");
            let left: Vec<_> =
                names(&dir_path).into_iter().filter(|name| name.contains("part")).collect();
            assert!(left.is_empty(), "{dir}: {left:?}");
        }
    }
}

fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs_err::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn cache(dir: &Path) -> PathBuf {
    dir.join("data/base-images")
}

fn json_of(said: &Said) -> Value {
    assert_eq!(said.code, 0, "{}", said.stderr);
    serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{error}: {}", said.stdout))
}

/// Runs the command to its end, then again and again, killing it earlier or later, and calls `check`
/// after each kill. `prepare` comes before each run.
fn kill_at_many_moments(command: impl Fn() -> Command, prepare: impl Fn(), check: impl Fn()) {
    prepare();
    let began = Instant::now();
    let whole = said(command().output().unwrap());
    let mut length = began.elapsed();
    assert_eq!(whole.code, 0, "{}", whole.stderr);
    let mut killed = 0;
    for moment in 0..MOMENTS {
        prepare();
        let mut child = command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Not a wait for something: the moment is what is varied.
        std::thread::sleep(length * moment / MOMENTS);
        child.kill().unwrap();
        if child.wait().unwrap().success() {
            // The run that was measured had less of the machine than this one.
            length = length * 3 / 4;
        } else {
            killed += 1;
        }
        check();
    }
    assert!(killed > MOMENTS / 4, "only {killed} of {MOMENTS} runs were killed before their end");
    let after = said(command().output().unwrap());
    assert_eq!(after.code, 0, "{}", after.stderr);
}

#[test]
fn a_pull_that_is_killed_at_any_moment_leaves_no_half_bundle_and_the_next_succeeds() {
    let (dir, bundles) = (tempfile::tempdir().unwrap(), Bundles::start());
    let url = bundles.url("web");
    let pull = || {
        let mut command = smartvm(dir.path());
        command.args(["image", "pull", "--quiet", &url]);
        command
    };
    let prepare = || {
        // What earlier kills left stays: the next run has to cope with it.
        let _ = fs_err::remove_dir_all(cache(dir.path()).join("web"));
    };
    kill_at_many_moments(pull, prepare, || bundles.assert_whole(&cache(dir.path())));
    bundles.assert_whole(&cache(dir.path()));
    assert_eq!(run(dir.path(), &["image", "verify", "web"]).code, 0);
    assert_eq!(names(&cache(dir.path())), ["web", "~locks"]);
}

#[test]
fn an_eviction_that_is_killed_at_any_moment_leaves_no_half_bundle() {
    let (dir, bundles) = (tempfile::tempdir().unwrap(), Bundles::start());
    let turn = std::cell::Cell::new(0);
    let pull = || {
        // Each evicts the other.
        let id = if turn.replace(turn.get() + 1) % 2 == 0 { "even" } else { "odd" };
        let mut command = smartvm(dir.path());
        command.args(["image", "pull", "--quiet", "--max-stored-images", "1", &bundles.url(id)]);
        command
    };
    kill_at_many_moments(pull, || (), || bundles.assert_whole(&cache(dir.path())));
    bundles.assert_whole(&cache(dir.path()));
    let pruned = run(dir.path(), &["image", "prune", "--max-stored-images", "1"]);
    assert_eq!(pruned.code, 0, "{}", pruned.stderr);
    let left = names(&cache(dir.path()));
    assert_eq!(left.iter().filter(|name| !name.starts_with('~')).count(), 1, "{left:?}");
    assert!(!left.iter().any(|name| name.contains("trash") || name.contains("draft")), "{left:?}");
}

#[test]
fn an_install_that_is_killed_at_any_moment_leaves_no_half_release_and_the_next_succeeds() {
    let dir = tempfile::tempdir().unwrap();
    let firecracker: Vec<u8> =
        (0..2_000_000_u32).map(|n| (n.wrapping_mul(n) >> 9).to_le_bytes()[0]).collect();
    let page = FakeReleases::start("v1.12.1").with_release(
        "v1.12.1",
        Arch::HOST.as_str(),
        &firecracker,
        b"jailer",
    );
    let release = dir.path().join("data/firecracker/v1.12.1");
    let install = || {
        let mut command = smartvm(dir.path());
        command.args(["firecracker", "install", "--quiet", "--release-url", &page.url()]);
        command
    };
    let check = || {
        if release.exists() {
            assert!(fs_err::read(release.join("firecracker")).unwrap() == firecracker);
            assert_eq!(fs_err::read(release.join("jailer")).unwrap(), b"jailer");
        }
    };
    let prepare = || {
        let _ = fs_err::remove_dir_all(&release);
    };
    kill_at_many_moments(install, prepare, check);
    check();
    assert_eq!(names(release.parent().unwrap()), ["v1.12.1"]);
}

#[test]
fn ten_processes_that_want_one_bundle_cause_one_download_and_all_get_it_verified() {
    let (dir, bundles) = (tempfile::tempdir().unwrap(), Bundles::start());
    let url = bundles.url("web");
    let children: Vec<_> = (0..10)
        .map(|_| {
            let mut command = smartvm(dir.path());
            command.args(["image", "pull", "--json", &url]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let pulled: Vec<_> = children
        .into_iter()
        .map(|child| json_of(&said(child.wait_with_output().unwrap())))
        .collect();
    assert_eq!(bundles.server.count("/web/root"), 1);
    assert_eq!(bundles.server.count("/web/vmlinux"), 1);
    assert_eq!(pulled.iter().filter(|image| image["wasCached"] == false).count(), 1);
    let hash = Sha256Digest::of(&bundles.root).to_string();
    assert!(pulled.iter().all(|image| image["checksums"]["rootfsSha256"] == *hash));
    bundles.assert_whole(&cache(dir.path()));
}

#[test]
fn without_a_terminal_a_pull_says_a_few_plain_lines_and_with_quiet_nothing() {
    let (dir, bundles) = (tempfile::tempdir().unwrap(), Bundles::start());
    let said = run(dir.path(), &["image", "pull", &bundles.url("web")]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    for line in
        ["smartvm: downloading root, 2.86 MiB", "smartvm: root: 50 %", "smartvm: root: done"]
    {
        assert!(said.stderr.contains(line), "{line} is not in\n{}", said.stderr);
    }
    assert!(!said.stderr.contains('\x1b'), "{}", said.stderr);
    assert!(said.stderr.lines().count() < 15, "{}", said.stderr);
    assert!(said.stdout.starts_with("id           web\n"), "{}", said.stdout);
    let quiet = run(dir.path(), &["image", "pull", "--quiet", &bundles.url("quiet")]);
    assert_eq!((quiet.code, quiet.stderr.as_str()), (0, ""));
}

#[test]
fn images_are_pulled_listed_shown_verified_pruned_and_removed() {
    let (dir, bundles) = (tempfile::tempdir().unwrap(), Bundles::start());
    let smartvm = |args: &[&str]| run(dir.path(), args);
    assert_eq!(json_of(&smartvm(&["image", "list", "--json"])), json!([]));
    let pulled = json_of(&smartvm(&["image", "pull", "--json", &bundles.url("a")]));
    assert_eq!((&pulled["bundleId"], &pulled["wasCached"]), (&json!("a"), &json!(false)));
    assert_eq!(pulled["evicted"], json!([]));
    assert_eq!(smartvm(&["image", "pull", &bundles.url("b")]).code, 0);
    let listed = json_of(&smartvm(&["image", "list", "--json"]));
    assert_eq!(listed.as_array().unwrap().len(), 2);
    let table = smartvm(&["image", "list"]).stdout;
    assert!(table.starts_with("ID") && table.contains("2.86 MiB"), "{table}");
    let shown = json_of(&smartvm(&["image", "show", "a", "--json"]));
    assert_eq!(shown["kernelImagePath"], json!(cache(dir.path()).join("a/vmlinux")));
    assert_eq!(smartvm(&["image", "verify", "--all"]).code, 0);

    let third = smartvm(&["image", "pull", &bundles.url("c")]);
    assert!(third.stderr.contains("warning: base image a was removed"), "{}", third.stderr);
    let pruned = json_of(&smartvm(&["image", "prune", "--max-stored-images", "1", "--json"]));
    assert_eq!(pruned, json!({ "removed": ["b"] }));
    fs_err::write(cache(dir.path()).join("c/vmlinux"), "x").unwrap();
    let damaged = smartvm(&["image", "verify", "c"]);
    assert_eq!(damaged.code, 1);
    assert!(damaged.stderr.contains("pull --force"), "{}", damaged.stderr);
    assert_eq!(json_of(&smartvm(&["image", "rm", "c", "--json"])), json!({ "removed": "c" }));
    let gone = smartvm(&["image", "rm", "c"]);
    assert_eq!(gone.code, 3, "{}", gone.stderr);
    assert!(gone.stderr.contains("hint: fetch one: smartvm image pull"), "{}", gone.stderr);
}

#[test]
fn presets_come_from_the_bucket_that_was_named() {
    let (dir, bucket) = (tempfile::tempdir().unwrap(), FakeBucket::start(2));
    let releases = FakeReleases::start("v1.12.1");
    for name in ["vmlinux-6.1.1", "ubuntu-24.04.squashfs", "ubuntu-24.04.manifest"] {
        bucket.put(&format!("firecracker-ci/v1.12/{}/{name}", Arch::HOST), name);
    }
    let pulled = run(
        dir.path(),
        &[
            "image",
            "pull",
            "--json",
            "--bucket-url",
            &bucket.url(),
            "--release-url",
            &releases.url(),
        ],
    );
    assert_eq!(json_of(&pulled)["firecrackerVersion"], "v1.12.1");
    let cached = run(dir.path(), &["image", "pull", "an-id"]);
    assert_eq!(cached.code, 2, "{}", cached.stderr);
}

#[test]
fn failures_have_their_codes() {
    let (dir, bundles) = (tempfile::tempdir().unwrap(), Bundles::start());
    let server = HttpServer::start(|_| Answer::new(200, r#"{"schemaVersion":2}"#));
    let broken = server.url("/m.json");
    let missing = bundles.server.url("/nothing");
    let cases: [(&[&str], i32, &str); 6] = [
        (&["image", "pull", &broken], 2, "schemaVersion: must be 1"),
        (&["image", "pull", &missing], 1, "404"),
        (&["image", "pull", "/no/manifest.json"], 3, "/no/manifest.json"),
        (&["image", "show", "web"], 3, "no base image `web`"),
        (&["image", "pull", "--max-stored-images", "0", "latest"], 2, "at least 1"),
        (&["run", "--image", "web", "--persistent"], 2, "cannot be used with"),
    ];
    for (args, code, part) in cases {
        let said = run(dir.path(), args);
        assert_eq!(said.code, code, "{args:?}: {}", said.stderr);
        assert!(said.stderr.contains(part), "{args:?}: {}", said.stderr);
    }
}

#[test]
fn releases_are_installed_listed_chosen_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let arch = Arch::HOST.as_str();
    let page = FakeReleases::start("v1.12.1")
        .with_release("v1.12.1", arch, b"new", b"new jailer")
        .with_release("v1.9.1", arch, b"old", b"old jailer");
    let url = page.url();
    let smartvm = |args: &[&str]| run(dir.path(), &[&["firecracker"], args].concat());
    assert_eq!(json_of(&smartvm(&["list", "--json"])), json!([]));
    let installed = smartvm(&["install", "--release-url", &url]);
    assert_eq!(installed.code, 0, "{}", installed.stderr);
    assert!(installed.stdout.starts_with("version      v1.12.1\n"), "{}", installed.stdout);
    assert!(installed.stderr.contains("smartvm: downloading firecracker-v1.12.1-"));
    let older = smartvm(&["install", "1.9.1", "--json", "--release-url", &url]);
    assert_eq!(json_of(&older)["isDefault"], json!(false));
    assert_eq!(json_of(&smartvm(&["use", "v1.9.1", "--json"]))["isDefault"], json!(true));
    let listed = json_of(&smartvm(&["list", "--json"]));
    assert_eq!((&listed[0]["version"], &listed[0]["isDefault"]), (&json!("v1.9.1"), &json!(true)));
    assert!(smartvm(&["list"]).stdout.contains("v1.9.1   yes"));
    assert_eq!(json_of(&smartvm(&["rm", "1.9.1", "--json"])), json!({ "removed": "v1.9.1" }));
    let gone = smartvm(&["use", "1.9.1"]);
    assert_eq!(gone.code, 3, "{}", gone.stderr);
    assert!(gone.stderr.contains("smartvm firecracker install v1.9.1"), "{}", gone.stderr);
    let unknown = smartvm(&["install", "9.9.9", "--release-url", &url]);
    assert_eq!(unknown.code, 1, "{}", unknown.stderr);
}

#[test]
fn a_terminal_is_not_needed_for_the_wait_for_another_process_to_be_told() {
    let (dir, bundles) = (tempfile::tempdir().unwrap(), Bundles::start());
    let lock_dir = cache(dir.path()).join("~locks");
    assert_eq!(run(dir.path(), &["image", "list"]).code, 0);
    // Somebody else has it in hand.
    let lock = fs_err::File::create(lock_dir.join("web.fetch")).unwrap();
    lock.file().lock().unwrap();
    let errors = dir.path().join("errors");
    let mut child = smartvm(dir.path())
        .args(["image", "pull", &bundles.url("web")])
        .stdout(Stdio::null())
        .stderr(fs_err::File::create(&errors).unwrap().into_file())
        .spawn()
        .unwrap();
    smartvm_testkit::eventually(Duration::from_secs(30), "the wait is told", || {
        let text = fs_err::read_to_string(&errors).unwrap();
        text.contains("waiting for another process that has web in hand").then_some(())
    });
    assert_eq!(bundles.server.count("/web/root"), 0);
    drop(lock);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_proxy_of_the_environment_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let proxy = HttpServer::start(|_| Answer::new(404, "from the proxy"));
    let said = said(
        smartvm(dir.path())
            .env("http_proxy", proxy.url(""))
            .args(["image", "pull", "http://images.invalid/manifest.json"])
            .output()
            .unwrap(),
    );
    assert_eq!(said.code, 1, "{}", said.stderr);
    let asked: Vec<_> = proxy.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(asked, ["http://images.invalid/manifest.json"], "{}", said.stderr);
}

#[test]
fn on_a_terminal_a_bar_shows_how_far_a_download_is() {
    let (dir, bundles) = (tempfile::tempdir().unwrap(), Bundles::start());
    let root = Arc::clone(&bundles.root);
    let server = HttpServer::start(move |request| match request.path.as_str() {
        "/manifest.json" => {
            let hash = |bytes: &[u8]| Sha256Digest::of(bytes).to_string();
            let manifest = json!({
                "schemaVersion": 1, "bundleId": "slow", "arch": Arch::HOST.as_str(),
                "firecrackerVersion": "v1.12.1", "rootfsType": "ext4",
                "kernel": { "url": "kernel", "sha256": hash(b"k") },
                "rootfs": { "url": "root", "sha256": hash(&root) },
            });
            Answer::new(200, manifest.to_string())
        }
        "/kernel" => Answer::new(200, "k"),
        _ => Answer::file(request, &root, "\"root\"").stalled_after(root.len() / 2),
    });
    let (terminal, stderr) = open_terminal();
    let mut child = smartvm(dir.path())
        .args(["image", "pull", &server.url("/manifest.json")])
        .env("TERM", "xterm")
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .unwrap();
    let (seen, mut buffer) = (std::cell::RefCell::new(String::new()), [0; 4096]);
    let mut terminal = std::fs::File::from(terminal);
    smartvm_testkit::eventually(Duration::from_secs(30), "half of it is shown", || {
        let count = std::io::Read::read(&mut terminal, &mut buffer).unwrap();
        seen.borrow_mut().push_str(&String::from_utf8_lossy(&buffer[..count]));
        let seen = seen.borrow();
        (seen.contains("1.43 MiB of 2.86 MiB") && seen.contains("left")).then_some(())
    });
    child.kill().unwrap();
    child.wait().unwrap();
}

/// A terminal of 100 columns: its own side, and the one for a program.
fn open_terminal() -> (std::os::fd::OwnedFd, std::os::fd::OwnedFd) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
    let theirs = rustix::fs::open(&*name, flags, rustix::fs::Mode::empty()).unwrap();
    let size = rustix::termios::Winsize { ws_row: 25, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&theirs, size).unwrap();
    (ours, theirs)
}
