//! A local user puts his own where a manager of root looks for its records.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use rustix::process::Pid;
use serde_json::json;
use smartvm::{SmartVm, SmartVmError, SmartVmOptions};
use smartvm_firecracker::ProcessIdentity;
use smartvm_testkit::{TestHome, fixtures};
use tempfile::TempDir;

/// The user who attacks.
const NOBODY: u32 = 65_534;

/// A directory that anybody may make something in, as `/dev/shm` is, and what is there.
struct Scene {
    home: TestHome,
    shared: TempDir,
    /// The user's own, in which a manager is to keep its records.
    theirs: PathBuf,
    /// A process of root's.
    process: Child,
}

impl Scene {
    fn new(mode: u32) -> Self {
        let (home, shared) = (TestHome::new(), tempfile::tempdir().unwrap());
        set_mode(shared.path(), 0o1777);
        let theirs = shared.path().join(".smartvm");
        fs_err::create_dir(&theirs).unwrap();
        fs_err::write(theirs.join("program"), "").unwrap();
        set_mode(&theirs.join("program"), 0o755);
        fs_err::write(shared.path().join("secret"), "").unwrap();
        set_mode(&shared.path().join("secret"), 0o600);
        fs_err::create_dir(shared.path().join("precious")).unwrap();
        give_to_nobody(&theirs);
        set_mode(&theirs, mode);
        let process = Command::new("/bin/sleep").arg("1000").spawn().unwrap();
        Self { home, shared, theirs, process }
    }

    fn manager(&self) -> Result<SmartVm, SmartVmError> {
        SmartVm::new(SmartVmOptions {
            data_dir: self.home.data_dir().to_owned(),
            runtime_dir: self.theirs.join("runtime"),
            firecracker_binary_path: Some(fixtures::firecracker()),
            ..SmartVmOptions::default()
        })
    }

    /// Takes away what a manager has made, and puts there what dead VMs of it would have left.
    fn plant(&self) {
        let runtime = self.theirs.join("runtime");
        if runtime.exists() {
            fs_err::rename(&runtime, self.theirs.join("away")).unwrap();
        }
        let living = ProcessIdentity::of(Pid::from_child(&self.process)).unwrap();
        let dead = ProcessIdentity { start_time: living.start_time + 1, ..living.clone() };
        let jail = self.theirs.join("jail");
        for (vm, jail) in [("db", self.shared.path().join("precious")), ("web", jail.clone())] {
            fs_err::create_dir_all(runtime.join(vm)).unwrap();
            let record = json!({
                "schemaVersion": 1, "id": vm, "owner": dead, "firecracker": living,
                "jail": { "dir": jail, "uid": 1, "gid": 1, "cgroup": null },
            });
            fs_err::write(runtime.join(vm).join("record.json"), record.to_string()).unwrap();
        }
        let lent = |path: PathBuf, owner: u32, mode: u32| {
            let found = fs_err::metadata(&path).unwrap();
            let lent = json!({
                "path": path, "device": found.dev(), "inode": found.ino(),
                "uid": owner, "gid": owner, "mode": mode,
            });
            format!("{lent}\n")
        };
        let secret = lent(self.shared.path().join("secret"), NOBODY, 0o666);
        let program = lent(self.theirs.join("program"), 0, 0o4755);
        fs_err::create_dir(&jail).unwrap();
        fs_err::write(jail.join("lent"), secret + &program).unwrap();
        give_to_nobody(&runtime);
        give_to_nobody(&jail);
    }

    /// What of root's the user has changed.
    fn harm(&mut self) -> Vec<String> {
        let mut harm = Vec::new();
        for (path, owner, mode) in [
            (self.shared.path().join("secret"), 0, 0o600),
            (self.theirs.join("program"), NOBODY, 0o755),
        ] {
            let found = fs_err::metadata(&path).unwrap();
            let (uid, permissions) = (found.uid(), found.mode() & 0o7777);
            if (uid, permissions) != (owner, mode) {
                let name = path.file_name().unwrap().display();
                harm.push(format!("{name} is user {uid}'s with mode {permissions:04o}"));
            }
        }
        if !self.shared.path().join("precious").exists() {
            harm.push("a directory was removed".to_owned());
        }
        if let Some(status) = self.process.try_wait().unwrap() {
            harm.push(format!("a process was ended: {status}"));
        }
        harm
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // It may have been ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs_err::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// Makes all that is below a path the user's.
fn give_to_nobody(path: &Path) {
    chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.is_dir() {
        for entry in fs_err::read_dir(path).unwrap() {
            give_to_nobody(&entry.unwrap().path());
        }
    }
}

/// F1: by this a user became root who had made the directory before root's first manager did.
#[tokio::test]
async fn records_that_another_user_has_planted_do_nothing_to_what_is_roots() {
    for mode in [0o755, 0o1777] {
        let mut scene = Scene::new(mode);
        let first = scene.manager();
        let made = scene.theirs.join("runtime").exists();
        scene.plant();
        if let Ok(manager) = &first {
            // It is the harm that tells.
            let _ = manager.sweep();
        }
        let next = scene.manager();
        assert_eq!(scene.harm(), Vec::<String>::new(), "mode {mode:04o}");
        assert!(!made, "nothing is made in a directory of others");
        for manager in [first, next] {
            assert_eq!(manager.map(drop).unwrap_err().code(), "UNSAFE_DIRECTORY");
        }
    }
}
