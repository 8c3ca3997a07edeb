//! Directories for one test.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::leak::{HostSnapshot, Scope};

/// How long what a test started may take to go away.
const PATIENCE: Duration = Duration::from_secs(10);

/// A private data directory and a private runtime directory.
///
/// They are in memory where the host has `/dev/shm`, below a path short enough for the sockets
/// in them, open to this user only, and gone on drop.
///
/// On drop it checks that the test left nothing behind: no process that mentions these
/// directories, nothing in the runtime directory but its lock, no mount. It panics if it did,
/// unless the test is panicking already. So it has to be dropped last: fields are dropped in the
/// order of their declaration, variables in the reverse.
#[derive(Debug)]
pub struct TestHome {
    root: PathBuf,
    data_dir: PathBuf,
    runtime_dir: PathBuf,
    before: HostSnapshot,
    patience: Duration,
}

impl TestHome {
    /// Makes the directories.
    ///
    /// # Panics
    /// When the host does not let us.
    #[must_use]
    #[track_caller]
    pub fn new() -> Self {
        Self::with_patience(PATIENCE)
    }

    #[track_caller]
    fn with_patience(patience: Duration) -> Self {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let root = tempfile::Builder::new()
            .prefix("svt-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(parent)
            .expect("a directory for a test can be made")
            .keep();
        let (data_dir, runtime_dir) = (root.join("data"), root.join("run"));
        for dir in [&data_dir, &runtime_dir] {
            make_private(dir);
        }
        Self {
            before: HostSnapshot::of(Scope {
                users_of: vec![root.clone()],
                files_in: vec![runtime_dir.clone()],
                network: false,
            }),
            root,
            data_dir,
            runtime_dir,
            patience,
        }
    }

    /// The directory that the two others are in, for the test's own files.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Where kernels and the like are kept.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Where sockets and the like of running machines are.
    #[must_use]
    pub fn runtime_dir(&self) -> &Path {
        &self.runtime_dir
    }
}

impl Default for TestHome {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for TestHome {
    fn drop(&mut self) {
        if thread::panicking() {
            // The test has said what is wrong; what it left may well be in the way.
            let _ = fs_err::remove_dir_all(&self.root);
            return;
        }
        let unchanged = self.before.wait_until_unchanged(self.patience);
        let removed = remove_once_unused(&self.root, self.patience);
        if let Err(difference) = unchanged {
            panic!("{difference}");
        }
        removed.expect("the directories of a test can be removed once nothing uses them");
    }
}

/// Removes a directory into which a thread of a manager that has gone may still put its last file, as the one
/// that keeps the audit log: what is put there meanwhile is removed too, what goes on for longer is a fault.
fn remove_once_unused(dir: &Path, patience: Duration) -> io::Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        match fs_err::remove_dir_all(dir) {
            Err(error)
                if error.kind() == io::ErrorKind::DirectoryNotEmpty
                    && Instant::now() < deadline => {}
            removed => return removed,
        }
    }
}

fn make_private(dir: &Path) {
    DirBuilder::new().mode(0o700).create(dir).expect("a new directory can be filled");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directories_are_private_and_go_away() {
        let home = TestHome::new();
        for dir in [home.path(), home.data_dir(), home.runtime_dir()] {
            assert_eq!(fs_err::metadata(dir).unwrap().permissions().mode() & 0o777, 0o700);
        }
        let root = home.path().to_owned();
        drop(home);
        assert!(!root.exists());
    }

    #[test]
    fn what_a_test_keeps_as_data_is_no_leak() {
        let home = TestHome::new();
        fs_err::write(home.data_dir().join("kernel"), "").unwrap();
        fs_err::write(home.path().join("guest"), "").unwrap();
        fs_err::write(home.runtime_dir().join(".lock"), "").unwrap();
    }

    #[test]
    fn a_leak_fails_the_test_and_the_directories_still_go_away() {
        let home = TestHome::with_patience(Duration::ZERO);
        let root = home.path().to_owned();
        fs_err::create_dir(home.runtime_dir().join("vm")).unwrap();
        let panic = std::panic::catch_unwind(move || drop(home)).unwrap_err();
        let message = panic.downcast_ref::<String>().unwrap();
        assert!(message.contains(&format!("directory {}/run/vm", root.display())), "{message}");
        assert!(!root.exists());
    }

    #[test]
    fn sockets_fit_below_it() {
        let home = TestHome::new();
        assert!(home.runtime_dir().as_os_str().len() < 30, "{home:?}");
    }
}
