//! A stand-in for Firecracker that lies.

use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{FlockOperation, flock};

/// Builds the program of `examples/hostile_firecracker` and returns where it is. It is linked
/// statically, as what runs in a jail must be, which cargo does for whole builds only.
///
/// It has no KVM and no guest. What it lies about is chosen by the VM's id: see its source.
#[must_use]
pub fn hostile_firecracker() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = package.join("examples/hostile_firecracker");
    let dir = package.join("../../target/hostile");
    fs_err::create_dir_all(&dir).expect("there is a directory for what is built");
    // Tests run at once, each in a process of its own: one of them builds.
    let lock = fs_err::File::open(&dir).expect("the directory can be opened");
    flock(&lock, FlockOperation::LockExclusive).expect("the directory can be locked");
    // The jailer wants this name.
    let program = dir.join("firecracker");
    let time = |path: &Path| fs_err::metadata(path).and_then(|found| found.modified()).ok();
    let source = |name: &str| sources.join(name);
    let newest = ["main.rs", "uffd.rs"].iter().map(|name| time(&source(name))).max().flatten();
    if time(&program).is_none_or(|built| Some(built) < newest) {
        let built = Command::new("rustc")
            .args(["--edition", "2024", "-C", "target-feature=+crt-static", "-C", "opt-level=1"])
            .args(["-C", "strip=symbols", "-o"])
            .arg(dir.join("firecracker.new"))
            .arg(source("main.rs"))
            .output()
            .expect("rustc can be run");
        let said = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "the hostile Firecracker cannot be built: {said}");
        fs_err::rename(dir.join("firecracker.new"), &program).expect("it can be named");
    }
    program
}
