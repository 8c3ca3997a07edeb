//! Bad input: one clear error with its code, nothing left over, and the next start works.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use smartvm::{SmartVm, SmartVmError, SmartVmOptions, VmConfig};
use smartvm_testkit::fixtures;
use smartvm_testkit::tiny_guest::TinyGuest;

use crate::support::{Bench, drive, whole};

/// Starts a VM that must not start, and shows that nothing is left of it.
async fn refused(bench: &Bench, config: &VmConfig) -> SmartVmError {
    let error = match bench.smartvm.create_vm(config) {
        Err(error) => error,
        Ok(vm) => {
            let error = vm.start().await.unwrap_err();
            assert_eq!(vm.state(), smartvm::VmState::Error);
            assert!(!vm.runtime_dir().exists(), "{error}");
            error
        }
    };
    assert_eq!(bench.vm_dirs(), Vec::<PathBuf>::new(), "{error}");
    error
}

async fn refused_firecracker(path: &Path) -> SmartVmError {
    let bench = Bench::with(|options| options.firecracker_binary_path = Some(path.to_owned()));
    refused(&bench, &bench.config(&TinyGuest::halts())).await
}

fn elf_for_another_processor() -> Vec<u8> {
    let mut head = fs_err::read(fixtures::firecracker()).unwrap();
    let machine = if cfg!(target_arch = "x86_64") { 183u16 } else { 62 };
    head[18..20].copy_from_slice(&machine.to_le_bytes());
    head
}

#[tokio::test]
async fn a_missing_firecracker_is_named() {
    let error = refused_firecracker(Path::new("/nonexistent/firecracker")).await;
    assert_eq!(error.code(), "FIRECRACKER_NOT_FOUND");
    assert!(whole(&error).contains("/nonexistent/firecracker"), "{}", whole(&error));
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn a_firecracker_that_cannot_be_executed_is_refused() {
    let bench = Bench::new();
    let path = bench.file("firecracker");
    fs_err::copy(fixtures::firecracker(), &path).unwrap();
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(refused_firecracker(&path).await.code(), "FIRECRACKER_NOT_EXECUTABLE");
}

#[tokio::test]
async fn a_firecracker_for_another_processor_is_refused() {
    let bench = Bench::new();
    let path = bench.file("firecracker");
    fs_err::write(&path, elf_for_another_processor()).unwrap();
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(refused_firecracker(&path).await.code(), "FIRECRACKER_WRONG_ARCH");
}

#[tokio::test]
async fn a_program_that_is_not_firecracker_is_found_out() {
    let bench = Bench::new();
    let script = bench.file("firecracker");
    fs_err::write(&script, "#!/bin/sh\nsleep 100\n").unwrap();
    fs_err::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
    for path in [script.as_path(), Path::new("/bin/false"), Path::new("/bin/echo")] {
        let error = refused_firecracker(path).await;
        assert_eq!(error.code(), "NOT_FIRECRACKER", "{}: {}", path.display(), whole(&error));
    }
}

#[tokio::test]
async fn a_kernel_that_cannot_be_booted_is_refused_before_anything_is_made() {
    let bench = Bench::new();
    let text = bench.file("text");
    fs_err::write(&text, "this is not a kernel, it is a text\n".repeat(100)).unwrap();
    let bz_image = bench.file("vmlinuz");
    let mut image = vec![0; 4096];
    image[0x202..0x206].copy_from_slice(b"HdrS");
    fs_err::write(&bz_image, image).unwrap();
    let foreign = bench.file("foreign");
    fs_err::write(&foreign, elf_for_another_processor()).unwrap();
    for (path, code) in [
        (PathBuf::from("/nonexistent/vmlinux"), "KERNEL_UNREADABLE"),
        (bench.home.path().to_owned(), "KERNEL_UNREADABLE"),
        (text, "INVALID_KERNEL_IMAGE"),
        (bz_image, "INVALID_KERNEL_IMAGE"),
        (foreign, "INVALID_KERNEL_IMAGE"),
    ] {
        let mut config = bench.config(&TinyGuest::halts());
        config.boot_source.kernel_image_path = path;
        assert_eq!(refused(&bench, &config).await.code(), code);
    }
    bench.next_start_works().await;
}

#[tokio::test]
async fn what_firecracker_itself_refuses_carries_its_words() {
    let bench = Bench::new();
    let mut config = bench.config(&TinyGuest::halts());
    let damaged = bench.file("damaged");
    let mut kernel = fs_err::read(&config.boot_source.kernel_image_path).unwrap();
    kernel.truncate(70);
    fs_err::write(&damaged, kernel).unwrap();
    config.boot_source.kernel_image_path = damaged;
    let error = refused(&bench, &config).await;
    assert_eq!(error.code(), "API_REFUSED", "{}", whole(&error));
    assert!(whole(&error).to_lowercase().contains("elf"), "{}", whole(&error));
    bench.next_start_works().await;
}

#[tokio::test]
async fn a_directory_is_no_drive() {
    let bench = Bench::new();
    let mut config = bench.config(&TinyGuest::halts());
    config.drives = vec![drive("rootfs", bench.home.path())];
    let error = refused(&bench, &config).await;
    assert_eq!(error.code(), "DRIVE_UNUSABLE");
    assert!(error.hint().unwrap().contains("mkfs.ext4"));
    bench.next_start_works().await;
}

#[tokio::test]
async fn impossible_machines_and_names_are_refused() {
    let bench = Bench::new();
    let sound = bench.config(&TinyGuest::halts());
    let mut no_vcpus = sound.clone();
    no_vcpus.machine_config.vcpu_count = 0;
    let mut too_large = sound.clone();
    too_large.machine_config.mem_size_mib = 1 << 40;
    let named = |id: &str| VmConfig { id: Some(id.into()), ..sound.clone() };
    for (config, code) in [
        (no_vcpus, "INVALID_CONFIG"),
        (too_large, "MEMORY_EXCEEDS_HOST"),
        (named("../escape"), "INVALID_CONFIG"),
        (named("a/b"), "INVALID_CONFIG"),
        (named(".."), "INVALID_CONFIG"),
    ] {
        assert_eq!(refused(&bench, &config).await.code(), code);
    }
    bench.next_start_works().await;
}

#[tokio::test]
async fn a_socket_path_that_does_not_fit_is_refused() {
    let bench = Bench::with(|options| {
        let home = options.runtime_dir.parent().unwrap();
        options.runtime_dir = home.join("x".repeat(107));
    });
    let error = bench.vm(&TinyGuest::halts()).start().await.unwrap_err();
    assert_eq!(error.code(), "SOCKET_PATH_TOO_LONG");
    assert!(crate::support::vm_dirs(bench.smartvm.runtime_dir()).is_empty());
}

#[tokio::test]
async fn a_runtime_directory_that_others_control_is_refused() {
    let bench = Bench::new();
    let options = |runtime_dir: &Path| SmartVmOptions {
        runtime_dir: runtime_dir.to_owned(),
        ..bench.smartvm.options().clone()
    };
    let open = bench.file("open");
    fs_err::create_dir(&open).unwrap();
    fs_err::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
    let foreign = bench.file("foreign");
    fs_err::create_dir(&foreign).unwrap();
    std::os::unix::fs::chown(&foreign, Some(12345), Some(12345)).unwrap();
    for path in [&open, &foreign] {
        let error = SmartVm::new(options(path)).unwrap_err();
        assert_eq!(error.code(), "UNSAFE_DIRECTORY");
        assert!(error.hint().is_some());
    }
}
