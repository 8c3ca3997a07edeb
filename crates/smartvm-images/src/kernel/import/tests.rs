use super::*;
use crate::kernel::samples;

const VERSION: &str = "6.1.0-1-test";

/// A store, an image, modules and an init, all in one directory.
struct Fixture {
    dir: tempfile::TempDir,
    store: KernelStore,
    request: ImportKernel,
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let store = KernelStore::open(&dir.path().join("kernels")).unwrap();
    let path = |name: &str| dir.path().join(name);
    let kernel = samples::vmlinux(VERSION);
    let payload = samples::with_length(samples::zstd(&kernel), &kernel);
    fs_err::write(path("vmlinuz"), samples::bzimage(VERSION, &payload)).unwrap();
    fs_err::write(path("agent"), samples::vmlinux("1.0")).unwrap();
    samples::write_modules(&path("modules"), VERSION);
    let request = ImportKernel {
        image: path("vmlinuz"),
        modules: Some(path("modules")),
        init: Some(path("agent")),
        name: None,
    };
    Fixture { dir, store, request }
}

impl Fixture {
    /// Imports, expects a refusal, and that it left nothing.
    fn refused(&self) -> ImportKernelError {
        let error = self.store.import(&self.request).unwrap_err();
        assert_eq!(fs_err::read_dir(self.store.dir()).unwrap().count(), 0, "{error}");
        error
    }
}

#[test]
fn an_imported_kernel_has_its_files_hashes_and_modules() {
    let fixture = fixture();
    let kernel = fixture.store.import(&fixture.request).unwrap();
    assert_eq!((kernel.name.as_str(), kernel.version.as_str()), (VERSION, VERSION));
    assert_eq!(fs_err::read(&kernel.vmlinux).unwrap(), samples::vmlinux(VERSION));
    let initramfs = fs_err::read(kernel.initramfs.as_ref().unwrap()).unwrap();
    assert!(initramfs.starts_with(b"070701"));
    assert_eq!(kernel.modules, ["virtio", "virtio_mmio", "virtio_blk", "squashfs"]);
    assert_eq!(kernel.source_sha256, sha256(&fs_err::read(&fixture.request.image).unwrap()));
    kernel.verify().unwrap();
    let json = fs_err::read_to_string(kernel.vmlinux.with_file_name("kernel.json")).unwrap();
    for key in ["schemaVersion", "sourceSha256", "vmlinuxSha256", "initramfsSha256", "importedAtMs"]
    {
        assert!(json.contains(&format!("\"{key}\"")), "{key}: {json}");
    }
}

#[test]
fn an_elf_kernel_without_modules_has_no_initramfs() {
    let mut fixture = fixture();
    fs_err::write(&fixture.request.image, samples::vmlinux(VERSION)).unwrap();
    fixture.request.modules = None;
    fixture.request.init = None;
    let kernel = fixture.store.import(&fixture.request).unwrap();
    assert_eq!((kernel.initramfs.as_ref(), kernel.modules.len()), (None, 0));
    kernel.verify().unwrap();
}

#[test]
fn importing_again_replaces_and_another_version_under_the_name_is_refused() {
    let mut fixture = fixture();
    fixture.request.name = Some("mine".to_owned());
    let first = fixture.store.import(&fixture.request).unwrap();
    fs_err::write(fixture.dir.path().join("agent"), samples::vmlinux("2.0")).unwrap();
    let second = fixture.store.import(&fixture.request).unwrap();
    assert_ne!(first.initramfs_sha256, second.initramfs_sha256);
    second.verify().unwrap();
    assert_eq!(fs_err::read_dir(fixture.store.dir()).unwrap().count(), 1);

    fs_err::write(&fixture.request.image, samples::vmlinux("6.2.0")).unwrap();
    fixture.request.modules = None;
    let error = fixture.store.import(&fixture.request).unwrap_err();
    assert_eq!(error.code(), "KERNEL_EXISTS");
    assert_eq!(fixture.store.get("mine").unwrap(), second);
}

#[test]
fn bad_images_are_refused_with_their_code_and_leave_nothing() {
    let fixture = fixture();
    let good = fs_err::read(&fixture.request.image).unwrap();
    let cut = good[..good.len() / 2].to_vec();
    let unsupported = samples::bzimage(VERSION, b"BZh91AY&SY____");
    let nameless = samples::vmlinux("?");
    for (bytes, code) in [
        (b"not a kernel\n".to_vec(), "INVALID_KERNEL_IMAGE"),
        (cut, "INVALID_KERNEL_IMAGE"),
        (nameless, "INVALID_KERNEL_IMAGE"),
        (unsupported, "KERNEL_COMPRESSION_UNSUPPORTED"),
    ] {
        fs_err::write(&fixture.request.image, bytes).unwrap();
        assert_eq!(fixture.refused().code(), code);
    }
    fs_err::remove_file(&fixture.request.image).unwrap();
    assert_eq!(fixture.refused().code(), "KERNEL_UNREADABLE");
    fs_err::create_dir(&fixture.request.image).unwrap();
    let error = fixture.refused();
    assert_eq!(error.code(), "KERNEL_UNREADABLE");
    assert!(error.hint().unwrap().contains("vmlinuz"));
}

#[test]
fn modules_need_an_init_and_the_init_must_be_static() {
    let mut fixture = fixture();
    fs_err::write(fixture.dir.path().join("agent"), "#!/bin/sh").unwrap();
    assert_eq!(fixture.refused().code(), "INVALID_INIT");
    fixture.request.init = None;
    assert_eq!(fixture.refused().code(), "INIT_REQUIRED");
}

#[test]
fn modules_that_do_not_fit_are_refused_and_leave_nothing() {
    let fixture = fixture();
    let modules = fixture.dir.path().join("modules");
    samples::write_modules(&modules, "5.0.0-test");
    assert_eq!(fixture.refused().code(), "MODULES_WRONG_VERSION");
    samples::write_modules(&modules, VERSION);
    fs_err::write(modules.join("kernel/virtio.ko"), "text").unwrap();
    assert_eq!(fixture.refused().code(), "INVALID_MODULES");
    fs_err::write(modules.join("modules.dep"), "").unwrap();
    assert_eq!(fixture.refused().code(), "MODULE_MISSING");
}

#[test]
fn imports_at_the_same_time_take_turns() {
    let fixture = fixture();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| fixture.store.import(&fixture.request).unwrap());
        }
    });
    assert_eq!(fs_err::read_dir(fixture.store.dir()).unwrap().count(), 1);
    fixture.store.get(VERSION).unwrap().verify().unwrap();
}
