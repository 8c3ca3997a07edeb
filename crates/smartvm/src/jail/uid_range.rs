//! Which users VMs may be.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A range of user ids, and group ids of the same numbers, that belong to VMs alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UidRange {
    /// The first one.
    pub first: u32,
    /// The last one.
    pub last: u32,
}

impl Default for UidRange {
    /// 1900000000 to 1900065535: beyond what tools that give ranges to containers use by default
    /// (`subuid` up to 600100000, systemd up to 1879048191), below what signed numbers end at.
    fn default() -> Self {
        Self { first: 1_900_000_000, last: 1_900_065_535 }
    }
}

/// A range that cannot be VMs' alone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UidRangeError {
    /// It has no users that VMs could be.
    #[error("the user ids {first} to {last} are no range for VMs")]
    Empty {
        /// The first.
        first: u32,
        /// The last.
        last: u32,
    },
    /// Somebody else's ids are in it.
    #[error("{} gives {theirs} to `{owner}`, within the range of VMs, {first} to {last}", file.display())]
    Taken {
        /// The file that says so.
        file: PathBuf,
        /// Who has them.
        owner: String,
        /// Which.
        theirs: String,
        /// The first of the range.
        first: u32,
        /// The last of the range.
        last: u32,
    },
    /// A file that tells who has which ids cannot be read.
    #[error("cannot tell who has which ids: {} cannot be read", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl UidRange {
    /// Whether the id is in it.
    #[must_use]
    pub fn contains(&self, id: u32) -> bool {
        (self.first..=self.last).contains(&id)
    }

    /// Checks that the files of `etc` give none of the ids to anybody.
    ///
    /// # Errors
    /// When one does, when the range is empty or has root or nobody's -1 in it, or when one of
    /// the files is there and cannot be read.
    pub(crate) fn check_free(&self, etc: &Path) -> Result<(), UidRangeError> {
        let Self { first, last } = *self;
        if first == 0 || last == u32::MAX || first > last {
            return Err(UidRangeError::Empty { first, last });
        }
        // Of a user, its id; of a delegated range, its first id and how many there are.
        for (name, id_field, has_count) in
            [("passwd", 2, false), ("group", 2, false), ("subuid", 1, true), ("subgid", 1, true)]
        {
            let file = etc.join(name);
            let text = match fs_err::read_to_string(&file) {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(source) => return Err(UidRangeError::Read { file, source }),
            };
            for line in text.lines() {
                let fields: Vec<&str> = line.split(':').collect();
                let number = |index: usize| fields.get(index)?.trim().parse::<u64>().ok();
                let Some(start) = number(id_field) else { continue };
                let count = if has_count { number(id_field + 1).unwrap_or(0) } else { 1 };
                if count > 0 && start <= last.into() && start + count > first.into() {
                    let theirs = match count {
                        1 => start.to_string(),
                        _ => format!("{start} to {}", start + count - 1),
                    };
                    let owner = fields[0].to_owned();
                    return Err(UidRangeError::Taken { file, owner, theirs, first, last });
                }
            }
        }
        Ok(())
    }
}

impl UidRangeError {
    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Empty { .. } | Self::Taken { .. } => {
                Some("name a range of ids that nobody has, `uidRange`".to_owned())
            }
            Self::Read { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[(&str, &str)], first: u32, last: u32) -> Result<(), String> {
        let etc = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs_err::write(etc.path().join(name), text).unwrap();
        }
        let checked = UidRange { first, last }.check_free(etc.path());
        checked.map_err(|error| error.to_string())
    }

    #[test]
    fn ids_that_nobody_has_are_free() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/sh\n";
        let subuid = "ann:100000:65536\n# text\n\n";
        let files = [("passwd", passwd), ("subuid", subuid)];
        assert_eq!(check(&files, 165_536, 200_000), Ok(()));
        assert_eq!(check(&files, 1001, 99_999), Ok(()));
        assert_eq!(check(&[], 1, 2), Ok(()));
    }

    #[test]
    fn a_user_or_a_delegated_range_in_it_is_named() {
        let taken = check(&[("passwd", "ann:x:1000:1000::/home/ann:/bin/sh")], 900, 1000);
        assert!(taken.unwrap_err().contains("gives 1000 to `ann`"));
        let taken = check(&[("subuid", "bob:165536:65536")], 200_000, 265_535);
        assert!(taken.unwrap_err().contains("gives 165536 to 231071 to `bob`"));
        assert!(check(&[("group", "kvm:x:78:")], 70, 80).unwrap_err().contains("`kvm`"));
        assert!(check(&[("subgid", "bob:5:1")], 5, 5).unwrap_err().contains("gives 5 to"));
    }

    #[test]
    fn root_is_in_no_range() {
        for (first, last) in [(0, 10), (10, 9), (1, u32::MAX)] {
            assert!(check(&[], first, last).is_err());
        }
    }
}
