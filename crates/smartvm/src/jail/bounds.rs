//! Which jails a record may speak of.
//!
//! A record is a file, and what it says is acted on with root's rights. So it is believed only as far as it
//! could have been true: a jail is a directory of the directory of jails, its name ends with its user, and
//! its control group is one of ours and has its name.

use std::ffi::OsStr;
use std::io;
use std::path::{Component, Path, PathBuf};

use rustix::fs::statfs;
use smartvm_dir::PrivateDir;

use super::record::JailRecord;

/// `CGROUP2_SUPER_MAGIC` of `linux/magic.h`.
const CGROUP2_MAGIC: u64 = 0x6367_7270;

/// The jails that a manager may remove.
#[derive(Debug)]
pub(crate) struct JailBounds {
    base: Option<PathBuf>,
}

/// Where the jail of a record is.
#[derive(Debug)]
pub(super) struct Located {
    /// The directory of the program's jails.
    pub(super) of_program: PrivateDir,
    /// Its name there.
    pub(super) name: String,
}

impl JailBounds {
    /// Those below the directory of jails, `base`.
    pub(crate) fn below(base: PathBuf) -> Self {
        Self { base: Some(base) }
    }

    /// None.
    pub(crate) fn none() -> Self {
        Self { base: None }
    }

    /// Finds the jail of a record; none when it is gone.
    ///
    /// # Errors
    /// When the record names something that is no jail of ours.
    pub(super) fn locate(&self, record: &JailRecord) -> io::Result<Option<Located>> {
        let name = name_of(record)?;
        let (Some(base), Some(of_program)) = (&self.base, record.dir.parent()) else {
            return Err(refused(record, "no jails are ours here"));
        };
        let base = match fs_err::canonicalize(base) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => base.clone(),
            whole => whole?,
        };
        let mut below = of_program.strip_prefix(&base).into_iter().flat_map(Path::components);
        let (Some(Component::Normal(program)), None) = (below.next(), below.next()) else {
            let why = format!("it is not in the directory of jails, {}", base.display());
            return Err(refused(record, &why));
        };
        let Some(base) = PrivateDir::existing(&base).map_err(io::Error::other)? else {
            return Ok(None);
        };
        if !base.has_dir(program)? {
            // Something else stands there, in which no jail of ours was made.
            return Ok(None);
        }
        Ok(base.dir(program)?.map(|of_program| Located { of_program, name }))
    }
}

/// The name of a record's jail.
pub(super) fn name_of(record: &JailRecord) -> io::Result<String> {
    let name = record.dir.file_name().and_then(OsStr::to_str);
    let name = name.filter(|name| record.uid != 0 && uid_of(name) == Some(record.uid));
    name.map(str::to_owned).ok_or_else(|| refused(record, "it is not named after its user"))
}

/// The user whose jail has this name.
pub(super) fn uid_of(name: &str) -> Option<u32> {
    name.rsplit_once('-')?.1.parse().ok().filter(|uid| *uid != 0)
}

/// The control group of a record, if it is that of its jail.
pub(super) fn cgroup_of<'a>(record: &'a JailRecord, name: &str) -> io::Result<Option<&'a Path>> {
    let Some(dir) = record.cgroup.as_deref() else { return Ok(None) };
    let plain = dir.components().all(|it| it != Component::ParentDir);
    if !plain || !dir.ends_with(Path::new(super::cgroup::PARENT).join(name)) {
        return Err(refused(record, "its control group is not its own"));
    }
    #[expect(clippy::cast_sign_loss, reason = "magic numbers are bit patterns")]
    match statfs(dir) {
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Ok(found) if found.f_type as u64 == CGROUP2_MAGIC => Ok(Some(dir)),
        Ok(_) => Err(refused(record, "its control group is none")),
        Err(errno) => Err(errno.into()),
    }
}

fn refused(record: &JailRecord, why: &str) -> io::Error {
    let text = format!("the record names {} as its jail, and {why}", record.dir.display());
    io::Error::new(io::ErrorKind::PermissionDenied, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(dir: PathBuf, uid: u32) -> JailRecord {
        JailRecord { dir, uid, gid: uid, cgroup: None }
    }

    #[test]
    fn a_record_speaks_for_jails_of_the_directory_of_jails_only() {
        let home = tempfile::tempdir().unwrap();
        let base = home.path().join("jails");
        let jail = base.join("firecracker/web-70000");
        fs_err::create_dir_all(&jail).unwrap();
        let bounds = JailBounds::below(base.clone());
        let located = bounds.locate(&record(jail.clone(), 70_000)).unwrap().unwrap();
        assert_eq!(located.name, "web-70000");
        let gone = record(base.join("other/web-70000"), 70_000);
        assert!(bounds.locate(&gone).unwrap().is_none());
        std::os::unix::fs::symlink(home.path(), base.join("link")).unwrap();
        let planted = record(base.join("link/web-70000"), 70_000);
        assert!(bounds.locate(&planted).unwrap().is_none());
        for (dir, uid) in [
            (home.path().join("web-70000"), 70_000),
            (base.join("web-70000"), 70_000),
            (base.join("firecracker/x/web-70000"), 70_000),
            (base.join("firecracker/../../x/web-70000"), 70_000),
            (base.join("../jails/firecracker/web-70000"), 70_000),
            (jail.clone(), 70_001),
            (base.join("firecracker/web-0"), 0),
            (base.join("firecracker"), 70_000),
            (PathBuf::from("/"), 70_000),
        ] {
            let error = bounds.locate(&record(dir.clone(), uid)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{}", dir.display());
        }
        JailBounds::none().locate(&record(jail, 70_000)).unwrap_err();
    }

    #[test]
    fn a_record_s_control_group_is_its_own() {
        let home = tempfile::tempdir().unwrap();
        let group = home.path().join("smartvm/web-70000");
        fs_err::create_dir_all(&group).unwrap();
        let jail = |cgroup: PathBuf| JailRecord {
            cgroup: Some(cgroup),
            ..record("/j/firecracker/web-70000".into(), 70_000)
        };
        let missing = jail("/sys/fs/cgroup/smartvm/web-70000".into());
        assert_eq!(cgroup_of(&missing, "web-70000").unwrap(), None);
        for cgroup in [group, "/sys/fs/cgroup".into(), "/x/../smartvm/web-70000".into()] {
            cgroup_of(&jail(cgroup), "web-70000").unwrap_err();
        }
    }
}
