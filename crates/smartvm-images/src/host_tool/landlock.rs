//! Which files a program reaches.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, Scope,
};

use super::confine::Reach;

/// What programs of the system are made of, and what they look up: read, and run.
const SYSTEM: [&str; 6] = ["/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin"];
const SYSTEM_FILES: [&str; 5] =
    ["/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/mke2fs.conf", "/etc/e2fsck.conf", "/proc"];
const DEVICES: [&str; 4] = ["/dev/null", "/dev/zero", "/dev/urandom", "/dev/random"];

/// The newest of what we ask for; a kernel that knows less gives what it knows.
const WANTED: ABI = ABI::V6;

/// A ruleset for a program; none where the kernel has no Landlock.
pub(super) fn ruleset(reach: &Reach) -> io::Result<Option<OwnedFd>> {
    let created = || -> Result<RulesetCreated, landlock::RulesetError> {
        let read = AccessFs::from_read(WANTED);
        let read_file = BitFlags::from(AccessFs::ReadFile);
        let write_file = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate;
        let mut rules = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(WANTED))?
            .handle_access(AccessNet::from_all(WANTED))?
            .scope(Scope::from_all(WANTED))?
            .create()?;
        let system = SYSTEM.iter().map(Path::new).chain(reach.programs.iter().map(|it| &**it));
        for path in system {
            rules = allow(rules, path, read)?;
        }
        for path in SYSTEM_FILES {
            rules = allow(rules, Path::new(path), AccessFs::ReadFile | AccessFs::ReadDir)?;
        }
        for path in &reach.reads {
            rules = allow(rules, path, AccessFs::ReadFile | AccessFs::ReadDir)?;
        }
        for path in DEVICES {
            rules = allow(rules, Path::new(path), read_file | AccessFs::WriteFile)?;
        }
        if let Some(image) = &reach.image {
            rules = allow(rules, &image.path, write_file)?;
        }
        Ok(rules)
    };
    created().map(Into::into).map_err(io::Error::other)
}

/// Adds a rule for what is there.
fn allow(
    rules: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, landlock::RulesetError> {
    let Ok(fd) = PathFd::new(path) else { return Ok(rules) };
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(WANTED) };
    rules.add_rule(PathBeneath::new(fd, access))
}

/// Whether the kernel has Landlock.
pub(super) fn is_there() -> bool {
    let reach = Reach::default();
    ruleset(&reach).is_ok_and(|ruleset| ruleset.is_some())
}
