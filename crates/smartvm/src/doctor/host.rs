//! The host's files, below a root that tests make up.

use std::io;
use std::path::{Path, PathBuf};

/// Where the host's `/proc`, `/sys` and `/dev` are read.
#[derive(Debug, Clone)]
pub(super) struct Host {
    root: PathBuf,
}

impl Host {
    /// The host that this process runs on.
    pub(super) fn this() -> Self {
        Self { root: PathBuf::from("/") }
    }

    /// Where `path`, given without its leading `/`, is.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    pub(super) fn read(&self, path: &str) -> io::Result<String> {
        fs_err::read_to_string(self.path(path))
    }

    /// The text of a file of one line, or nothing when there is no such file or it is unreadable:
    /// most files of `/proc` and `/sys` depend on how the kernel was built.
    pub(super) fn value(&self, path: &str) -> Option<String> {
        self.read(path).ok().map(|text| text.trim().to_owned())
    }

    /// The names in a directory, sorted; none when there is no such directory.
    pub(super) fn names(&self, path: &str) -> Vec<String> {
        let Ok(entries) = fs_err::read_dir(self.path(path)) else { return Vec::new() };
        let mut names: Vec<String> = entries
            .filter_map(Result::ok)
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }
}

/// The closest existing directory at or above `path`: what holds for it will hold for `path`.
pub(super) fn existing_ancestor(path: &Path) -> &Path {
    path.ancestors().find(|ancestor| ancestor.exists()).unwrap_or_else(|| Path::new("/"))
}

#[cfg(test)]
pub(super) mod made_up {
    //! Hosts for tests.

    use super::Host;

    /// A host that consists of a few files and is gone when dropped.
    pub(in crate::doctor) struct MadeUpHost {
        pub(in crate::doctor) host: Host,
        _root: tempfile::TempDir,
    }

    /// Makes a host of `files`, each a path without its leading `/` and a text.
    pub(in crate::doctor) fn host(files: &[(&str, &str)]) -> MadeUpHost {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }
        MadeUpHost { host: Host { root: root.path().to_owned() }, _root: root }
    }
}
