//! What older versions left in the runtime directory that was the default then.

use std::io;
use std::path::Path;

use smartvm_dir::PrivateDir;

use super::dead::{DEAD, Gone};
use super::runtime_dir::{RuntimeDir, WHOLE};

/// Removes what dead VMs left in a former runtime directory, and the directory itself when nothing is in it
/// any more. It stood where anybody could have made it first: unless all of its path is proved to be ours
/// nothing in it is read, and it is named to the user instead.
pub(crate) fn sweep_former(path: &Path, now: &RuntimeDir) {
    match PrivateDir::existing(path) {
        Ok(None) => {}
        Ok(Some(dir)) => {
            let former = now.beside(dir);
            if let Err(error) = sweep(&former) {
                let path = path.display();
                tracing::warn!(%path, %error, "cannot remove what older versions left");
            }
        }
        Err(error) => tracing::warn!(
            %error,
            "older versions kept their VMs in {}; it is not used any more and was not touched, see \
             whose it is and remove it",
            path.display()
        ),
    }
}

fn sweep(former: &RuntimeDir) -> io::Result<()> {
    let report = former.claim_dead()?.remove(former, Gone::default);
    for (vm, error) in &report.failed {
        tracing::warn!(%vm, %error, "cannot remove what an older version left");
    }
    // VMs of an older version that run still keep it.
    if former.ids()?.is_empty() {
        let dir = former.dir();
        if dir.dir(DEAD)?.is_some_and(|dead| dead.entries().is_ok_and(|it| it.is_empty())) {
            dir.remove_dir_all(DEAD)?;
        }
        if dir.entries()?.iter().all(|entry| entry.name() == WHOLE) {
            // Whoever uses it nevertheless makes it again.
            fs_err::remove_file(dir.path().join(WHOLE))?;
            fs_err::remove_dir(dir.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use smartvm_firecracker::ProcessIdentity;

    use super::*;
    use crate::home::record::VmRecord;
    use crate::jail::JailBounds;

    fn now(dir: &Path) -> RuntimeDir {
        RuntimeDir::open(&dir.join("now"), JailBounds::none()).unwrap()
    }

    #[test]
    fn what_older_versions_left_is_swept_and_the_directory_goes() {
        let dir = tempfile::tempdir().unwrap();
        let former = RuntimeDir::open(&dir.path().join("former"), JailBounds::none()).unwrap();
        let vm = former.dir().create_dir("web").unwrap();
        let mut record = VmRecord::new("web".parse().unwrap()).unwrap();
        let us = ProcessIdentity::of(rustix::process::getpid()).unwrap();
        record.owner = ProcessIdentity { start_time: us.start_time + 1, ..us };
        record.write(&vm).unwrap();
        let mut alive = former.claim(&"alive".parse().unwrap()).unwrap();
        sweep_former(former.path(), &now(dir.path()));
        assert!(!vm.path().exists() && alive.path().exists());
        alive.remove().unwrap();
        sweep_former(former.path(), &now(dir.path()));
        assert!(!former.path().exists());
        sweep_former(former.path(), &now(dir.path()));
    }

    #[test]
    fn what_is_not_proved_to_be_ours_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let former = dir.path().join("former");
        fs_err::create_dir_all(former.join("web")).unwrap();
        fs_err::set_permissions(&former, PermissionsExt::from_mode(0o777)).unwrap();
        sweep_former(&former, &now(dir.path()));
        assert!(former.join("web").exists());
    }
}
