//! `smartvm rootfs` and `smartvm image build`.

mod support;

use std::path::Path;

use serde_json::Value;
use support::{Said, run};

fn json(said: &Said) -> Value {
    assert_eq!(said.code, 0, "{}", said.stderr);
    serde_json::from_str(&said.stdout).expect("the command printed JSON")
}

fn code_of(said: &Said) -> String {
    let error: Value = serde_json::from_str(&said.stderr).expect("the command printed JSON");
    error["error"]["code"].as_str().expect("every error has a code").to_owned()
}

#[test]
fn an_image_is_created_cloned_and_resized_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let created = json(&run(dir.path(), &["--json", "rootfs", "create", "data", "--size", "64M"]));
    let path = Path::new(created["path"].as_str().unwrap());
    assert!(path.ends_with("rootfs/data"), "{created}");
    assert_eq!(fs_err::metadata(path).unwrap().len(), 64 << 20);
    let cloned = json(&run(dir.path(), &["--json", "rootfs", "clone", "data", "copy"]));
    assert_eq!(cloned["size"], 64 << 20);
    let resized = json(&run(dir.path(), &["--json", "rootfs", "resize", "copy", "--size", "96"]));
    assert_eq!(resized["formerSize"], 64 << 20);
    assert_eq!(resized["size"], 96 << 20);
    let shrunk = json(&run(dir.path(), &["--json", "rootfs", "resize", "copy", "--minimum"]));
    assert!(shrunk["size"].as_u64().unwrap() < 64 << 20);
    assert_eq!(fs_err::metadata(path).unwrap().len(), 64 << 20, "the first is as it was");
}

#[test]
fn images_are_listed_and_one_that_is_used_is_not_removed() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(json(&run(dir.path(), &["--json", "rootfs", "list"])), serde_json::json!([]));
    let created = json(&run(dir.path(), &["--json", "rootfs", "create", "data", "--size", "64M"]));
    let listed = json(&run(dir.path(), &["--json", "rootfs", "list"]));
    assert_eq!((&listed[0]["name"], &listed[0]["size"]), (&"data".into(), &(64 << 20).into()));
    assert_eq!(listed[0]["path"], created["path"]);
    let path = Path::new(created["path"].as_str().unwrap());
    let used = smartvm_images::ImageLock::to_read(path, "a test").unwrap();
    let refused = run(dir.path(), &["--json", "rootfs", "rm", "data"]);
    assert_eq!((refused.code, &*code_of(&refused)), (4, "IMAGE_IN_USE"));
    drop(used);
    assert_eq!(
        json(&run(dir.path(), &["--json", "rootfs", "rm", "data"]))["removed"],
        created["path"]
    );
    let gone = run(dir.path(), &["--json", "rootfs", "rm", "data"]);
    assert_eq!((gone.code, &*code_of(&gone)), (3, "ROOTFS_NOT_FOUND"));
}

#[test]
fn what_cannot_be_done_to_an_image_has_a_code_and_an_exit_code_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    json(&run(dir.path(), &["--json", "rootfs", "create", "data", "--size", "64M"]));
    for (args, code, exit) in [
        (&["rootfs", "create", "data", "--size", "1G"][..], "ROOTFS_CREATE_FAILED", 4),
        (&["rootfs", "clone", "data", "data"], "ROOTFS_CLONE_FAILED", 4),
        (&["rootfs", "clone", "none", "copy"], "ROOTFS_CLONE_FAILED", 3),
        (&["rootfs", "resize", "none", "--minimum"], "ROOTFS_RESIZE_FAILED", 3),
        (&["rootfs", "resize", "data", "--size", "1M"], "ROOTFS_SHRINK_REFUSED", 4),
        (&["rootfs", "resize", "data"], "USAGE", 2),
        (&["rootfs", "create", "..", "--size", "1G"], "USAGE", 2),
        (&["rootfs", "create", "x", "--size", "0"], "USAGE", 2),
    ] {
        let said = run(dir.path(), &[&["--json"], args].concat());
        assert_eq!((code_of(&said).as_str(), said.code), (code, exit), "{args:?}: {}", said.stderr);
    }
}

#[test]
fn a_bundle_that_cannot_be_built_says_why_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (text, out) = (dir.path().join("text"), dir.path().join("out"));
    fs_err::write(&text, "a text").unwrap();
    let (text, out) = (text.to_str().unwrap(), out.to_str().unwrap());
    let build = |more: &[&str]| {
        let first = ["--json", "image", "build", "--id", "web-1", "--out", out];
        run(dir.path(), &[&first, more].concat())
    };
    let version = ["--firecracker-version", "v1.12.1"];
    for (more, code, exit) in [
        (&["--kernel", text, "--rootfs", text, "--type", "ext4"][..], "INVALID_KERNEL_IMAGE", 2),
        (&["--kernel", "none", "--rootfs", text, "--type", "ext4"], "KERNEL_NOT_FOUND", 3),
        (&["--kernel", "/no/kernel", "--rootfs", text, "--type", "ext4"], "KERNEL_UNREADABLE", 3),
        (&["--kernel", text, "--rootfs", text, "--type", "vfat"], "USAGE", 2),
    ] {
        let said = build(&[more, &version].concat());
        assert_eq!((code_of(&said).as_str(), said.code), (code, exit), "{more:?}: {}", said.stderr);
    }
    let said = build(&["--kernel", text, "--rootfs", text, "--type", "ext4"]);
    assert!(said.stderr.contains("--firecracker-version"), "{}", said.stderr);
    assert!(!Path::new(out).exists());
}
