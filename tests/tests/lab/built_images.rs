//! What `smartvm image build` writes, served as it is, boots from where it was fetched to.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, mpsc};

use rustix::process::{Pid, Signal, kill_process};
use smartvm::images::base_image::{EnsureBaseImage, ManifestLocation};
use smartvm::{MachineConfig, VmConfig};
use smartvm_testkit::fixtures;
use smartvm_testkit::http::{Answer, HttpServer};

use crate::guest::{BOOT_ARGS, DEADLINE, Lab, PROMPT, in_huge_pages};

const INITTAB: &str = "::sysinit:/etc/rc\nttyS0::respawn:-/bin/sh\n::ctrlaltdel:/bin/reboot\n";
const RC: &str = "#!/bin/sh\n[ -e /proc/self ] || mount -t proc proc /proc\n\
                  [ -e /dev/ttyS0 ] || mount -t devtmpfs dev /dev\n";
const PROFILE: &str = "export PATH=/bin PS1='guest# '\n";

/// A busybox, what it needs to be a guest's init, and a file with an owner and a mode of its own.
fn lay_out(dir: &Path) -> PathBuf {
    let tree = dir.join("tree");
    for dir in ["bin", "dev", "etc", "proc", "sbin", "sys", "tmp"] {
        fs_err::create_dir_all(tree.join(dir)).unwrap();
    }
    fs_err::copy(fixtures::busybox(), tree.join("bin/busybox")).unwrap();
    for program in ["sh", "mount", "cat", "stat", "reboot", "echo", "sync"] {
        std::os::unix::fs::symlink("busybox", tree.join("bin").join(program)).unwrap();
    }
    std::os::unix::fs::symlink("../bin/busybox", tree.join("sbin/init")).unwrap();
    fs_err::write(tree.join("etc/inittab"), INITTAB).unwrap();
    fs_err::write(tree.join("etc/profile"), PROFILE).unwrap();
    fs_err::write(tree.join("etc/rc"), RC).unwrap();
    fs_err::write(tree.join("etc/owned"), "owned").unwrap();
    let mode = |file: &str, mode| {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs_err::set_permissions(tree.join(file), permissions).unwrap();
    };
    std::os::unix::fs::chown(tree.join("etc/owned"), Some(1234), Some(5678)).unwrap();
    mode("etc/rc", 0o755);
    mode("bin/busybox", 0o755);
    mode("etc/owned", 0o640);
    tree
}

fn smartvm(lab: &Lab) -> Command {
    let mut command = Command::new(fixtures::command());
    command.arg("--firecracker").arg(fixtures::firecracker());
    command.arg("--data-dir").arg(lab.home.data_dir());
    command.arg("--runtime-dir").arg(lab.home.runtime_dir());
    command
}

fn succeeded(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Builds a bundle of the given type, of a directory or an archive, and serves its directory.
fn serve_built(lab: &Lab, kind: &str, rootfs: &Path) -> HttpServer {
    let out = lab.home.path().join("out");
    let build = smartvm(lab)
        .args(["image", "build", "--kernel", &lab.kernel.name, "--rootfs"])
        .arg(rootfs)
        .args(["--type", kind, "--id", &format!("built-{kind}"), "--boot-args", BOOT_ARGS])
        .args(["--firecracker-version", "v1.12.1", "--out"])
        .arg(&out)
        .output()
        .unwrap();
    succeeded(&build);
    HttpServer::start(move |request| {
        let file = out.join(request.path.trim_start_matches('/'));
        let content = fs_err::read(file).map(Arc::new);
        content.map_or_else(
            |_| Answer::not_found(),
            |content| Answer::file(request, &content, &format!("\"{}\"", content.len())),
        )
    })
}

/// Boots what was built, and looks how its root is mounted and whose a file of it is.
async fn built_boots(lab: &Lab, kind: &str, rootfs: &Path, expected_mount: &str, owned: [&str; 2]) {
    let server = serve_built(lab, kind, rootfs);
    let url = server.url("/manifest.json").parse().unwrap();
    let request = EnsureBaseImage {
        manifest: Some(ManifestLocation::Url(url)),
        ..EnsureBaseImage::default()
    };
    let image = lab.smartvm.ensure_base_image(&request, &()).await.unwrap();
    let config =
        VmConfig { machine_config: MachineConfig::new(1, 256), ..VmConfig::booting(&image.bundle) };
    let mut guest = lab.boot_config(&in_huge_pages(config)).await;
    let mounts = guest.run("mount").await;
    assert!(mounts.contains(expected_mount), "{mounts}");
    let [file, owner] = owned;
    assert_eq!(guest.run(&format!("stat -c '%u %g %a' {file}")).await, owner);
    assert_eq!(guest.run("uname -r").await, lab.kernel.version);
    guest.vm.kill().await.unwrap();
    guest.vm.cleanup().await.unwrap();
}

#[tokio::test]
async fn an_ext4_bundle_that_image_build_made_of_a_directory_boots_from_a_server() {
    let lab = Lab::new();
    let owned = ["/etc/owned", "1234 5678 640"];
    built_boots(&lab, "ext4", &lay_out(lab.home.path()), " on / type ext4 (rw", owned).await;
}

#[tokio::test]
async fn a_squashfs_bundle_that_image_build_made_of_an_archive_boots_from_a_server() {
    let lab = Lab::new();
    let owned = ["/etc/rc", "0 0 755"];
    built_boots(&lab, "squashfs", &fixtures::rootfs_tar(), " on / type overlay (rw", owned).await;
}

#[test]
fn run_image_boots_a_bundle_by_its_address_and_then_by_its_id() {
    let lab = Lab::new();
    let server = serve_built(&lab, "ext4", &lay_out(lab.home.path()));
    // Fetching and booting are given their time one after the other.
    let pull = ["image", "pull", &server.url("/manifest.json")];
    succeeded(&smartvm(&lab).args(pull).output().unwrap());
    for image in [server.url("/manifest.json"), "built-ext4".to_owned()] {
        let errors = lab.home.path().join("errors");
        let mut child = smartvm(&lab)
            .args(["run", "--no-jail", "--no-stdin", "--memory", "256", "--image", &image])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs_err::File::create(&errors).unwrap().into_file())
            .spawn()
            .unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let (sender, prompted) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
            while let Ok(count @ 1..) = stdout.read(&mut buffer) {
                seen.extend_from_slice(&buffer[..count]);
                if String::from_utf8_lossy(&seen).contains(PROMPT) {
                    // Nobody may wait for it any more.
                    let _ = sender.send(());
                }
            }
            String::from_utf8_lossy(&seen).into_owned()
        });
        let booted = prompted.recv_timeout(DEADLINE * 2).is_ok();
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        let status = child.wait().unwrap();
        let (seen, errors) = (reader.join().unwrap(), fs_err::read_to_string(errors).unwrap());
        assert!(booted, "{image}: {seen}{errors}");
        assert_eq!(status.code(), Some(143), "{errors}");
    }
    assert_eq!(server.count("/rootfs.ext4"), 1);
}
