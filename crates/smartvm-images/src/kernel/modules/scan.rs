//! The index of modules whose directory has none, as an unpacked package leaves it: `depmod` runs when a package is installed.
//!
//! Each module says in its section `.modinfo` what it needs: `depends=a,b`, `softdep=pre: c`, `alias=crypto-d`.

use std::path::{Path, PathBuf};

use super::index::{ModuleIndex, ParseModulesError, file_stem};
use super::object::{ReadModuleError, read_module};
use super::pack::PackModulesError;

/// A distribution's kernel has 4,000 to 7,000.
const MAX_FILES: usize = 50_000;
const MAX_DEPTH: usize = 16;
/// `depmod` writes 1 MiB for a distribution's kernel.
const MAX_INDEX: usize = 32 << 20;

/// Reads every module below `root`, which takes some seconds for a distribution's kernel. `builtin` is `modules.builtin`.
pub(super) fn scan_modules(root: &Path, builtin: &[u8]) -> Result<ModuleIndex, PackModulesError> {
    let mut lines = Lines::default();
    let mut dirs = vec![(PathBuf::new(), 0)];
    let mut files = 0;
    while let Some((dir, depth)) = dirs.pop() {
        let open = |source| PackModulesError::Open { dir: root.join(&dir), source };
        for entry in fs_err::read_dir(root.join(&dir)).map_err(open)? {
            let entry = entry.map_err(open)?;
            let path = dir.join(entry.file_name());
            // `build` and `source` lead to where the kernel was built.
            if entry.file_type().map_err(open)?.is_dir() {
                if depth < MAX_DEPTH {
                    dirs.push((path, depth + 1));
                }
                continue;
            }
            let Some(path) = path.to_str().filter(|path| is_module(path)) else { continue };
            files += 1;
            if files > MAX_FILES {
                return Err(PackModulesError::TooMany { limit: MAX_FILES });
            }
            let module = read_module(root, path);
            lines.add(path, module)?;
            if lines.softdep.len() + lines.alias.len() > MAX_INDEX {
                return Err(PackModulesError::TooLarge { limit: MAX_INDEX });
            }
        }
    }
    if files == 0 {
        return Err(PackModulesError::NoModules { dir: root.to_owned() });
    }
    lines.index(builtin).map_err(PackModulesError::ParseIndex)
}

fn is_module(path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path);
    file_stem(file).is_some()
}

/// What `depmod` would have written.
#[derive(Debug, Default)]
struct Lines {
    dep: Vec<(String, Vec<String>)>,
    softdep: String,
    alias: String,
}

impl Lines {
    fn add(
        &mut self,
        path: &str,
        module: Result<Vec<u8>, ReadModuleError>,
    ) -> Result<(), PackModulesError> {
        let file = path.rsplit('/').next().unwrap_or(path);
        let name = file_stem(file).unwrap_or(file);
        let module =
            module.map_err(|source| PackModulesError::Read { name: name.to_owned(), source })?;
        let dependencies = values(&module, b"depends=").flat_map(|value| {
            value.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        });
        self.dep.push((path.to_owned(), dependencies.collect()));
        for value in values(&module, b"softdep=") {
            self.softdep += &format!("softdep {name} {value}\n");
        }
        for value in values(&module, b"alias=") {
            self.alias += &format!("alias {value} {name}\n");
        }
        Ok(())
    }

    fn index(self, builtin: &[u8]) -> Result<ModuleIndex, ParseModulesError> {
        let mut index = ModuleIndex::of_modules(&self.dep, builtin)?;
        index.add_soft_dependencies(self.softdep.as_bytes(), self.alias.as_bytes())?;
        Ok(index)
    }
}

/// The values of one key in a module's `.modinfo`, whose entries end in a zero each.
fn values<'a>(module: &'a [u8], key: &'a [u8]) -> impl Iterator<Item = &'a str> {
    memchr::memmem::find_iter(module, key).filter_map(move |at| {
        let begins = at == 0 || module[at - 1] == 0;
        let value = &module[at + key.len()..];
        let end = memchr::memchr(0, &value[..value.len().min(1024)])?;
        let value = std::str::from_utf8(&value[..end]).ok()?;
        (begins && !value.contains(['\n', '\r'])).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::samples;

    fn module(info: &str) -> Vec<u8> {
        [samples::module("6.1.0"), format!("\0{info}\0").into_bytes()].concat()
    }

    fn directory() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = fs_err::canonicalize(dir.path()).unwrap();
        let write = |path: &str, bytes: Vec<u8>| {
            fs_err::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs_err::write(root.join(path), bytes).unwrap();
        };
        write("kernel/fs/ext4.ko", module("depends=jbd2,mbcache\0softdep=pre: crc32c"));
        write("kernel/fs/jbd2.ko.xz", samples::xz(&module("depends=")));
        write("kernel/fs/mbcache.ko", module("depends="));
        write("kernel/crypto/crc32c_generic.ko", module("depends=\0alias=crc32c"));
        write("kernel/readme", b"depends=nothing".to_vec());
        std::os::unix::fs::symlink("/", root.join("build")).unwrap();
        (dir, root)
    }

    #[test]
    fn what_modules_say_of_themselves_is_their_index() {
        let (_dir, root) = directory();
        let index = scan_modules(&root, b"kernel/drivers/virtio.ko\n").unwrap();
        let names: Vec<_> = index.modules.keys().map(String::as_str).collect();
        assert_eq!(names, ["crc32c_generic", "ext4", "jbd2", "mbcache"]);
        let ext4 = &index.modules["ext4"];
        assert_eq!(
            (&ext4.path[..], &ext4.dependencies[..]),
            ("kernel/fs/ext4.ko", &["jbd2".to_owned(), "mbcache".to_owned()][..])
        );
        assert_eq!(ext4.soft_dependencies, ["crc32c"]);
        assert_eq!(index.meant_by("crc32c"), ["crc32c_generic"]);
        assert!(index.built_in.contains("virtio"));
    }

    #[test]
    fn a_module_that_cannot_be_read_is_named() {
        let (_dir, root) = directory();
        fs_err::write(root.join("kernel/fs/broken.ko"), "text").unwrap();
        let error = scan_modules(&root, b"").unwrap_err();
        assert!(matches!(error, PackModulesError::Read { name, .. } if name == "broken"));
    }

    #[test]
    fn words_that_only_look_like_a_key_are_passed_over() {
        let module = b"\0xdepends=a\0depends=b\0depends=c\nd\0depends=endless";
        assert_eq!(values(module, b"depends=").collect::<Vec<_>>(), ["b"]);
    }
}
