//! As whom a program runs.

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use smartvm_protocol::{Refusal, RefusalCode};

use crate::serve::refused::{failed, refused, shown};

/// The largest table of users or groups that is read.
const LARGEST: usize = 4 << 20;

/// A user as the kernel and a program know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    /// What the guest calls it, if it does.
    pub(crate) name: Option<Vec<u8>>,
    pub(crate) home: Vec<u8>,
}

impl Identity {
    /// Looks up `USER[:GROUP]`, root by default, with `groups` instead of those that the guest gives the user.
    pub(crate) fn find(user: Option<&[u8]>, groups: &[Vec<u8>]) -> Result<Self, Refusal> {
        let (passwd, group) = (table("/etc/passwd")?, table("/etc/group")?);
        Self::find_in(&passwd, &group, user, groups)
    }

    fn find_in(
        passwd: &[u8],
        group: &[u8],
        user: Option<&[u8]>,
        groups: &[Vec<u8>],
    ) -> Result<Self, Refusal> {
        let given = user.unwrap_or(b"0");
        let (user, own_group) = match given.iter().position(|byte| *byte == b':') {
            Some(at) => (&given[..at], Some(&given[at + 1..])),
            None => (given, None),
        };
        let mut identity = of_user(passwd, user)?;
        match own_group {
            Some(own) => identity.gid = of_group(group, own)?,
            None => identity.groups = memberships(group, identity.name.as_deref()),
        }
        if !groups.is_empty() {
            identity.groups =
                groups.iter().map(|name| of_group(group, name)).collect::<Result<_, _>>()?;
        }
        Ok(identity)
    }
}

/// A table of the guest; one that is missing is empty.
fn table(path: &str) -> Result<Vec<u8>, Refusal> {
    let cannot = |error| failed(RefusalCode::Failed, format_args!("read {path}"), error);
    let file = match rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(Vec::new()),
        Err(error) => return Err(cannot(error)),
    };
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match rustix::io::read(&file, &mut chunk) {
            Ok(0) => return Ok(bytes),
            Ok(length) => bytes.extend_from_slice(&chunk[..length]),
            Err(Errno::INTR) => {}
            Err(error) => return Err(cannot(error)),
        }
        if bytes.len() > LARGEST {
            return Err(cannot(Errno::FBIG));
        }
    }
}

/// The fields of each line.
fn entries(table: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    table.split(|byte| *byte == b'\n').map(|line| line.split(|byte| *byte == b':').collect())
}

/// The largest number is not one: to the kernel it means "as it is", which is root.
fn number(text: &[u8]) -> Option<u32> {
    let number = std::str::from_utf8(text).ok()?.parse().ok()?;
    (number != u32::MAX).then_some(number)
}

fn of_user(passwd: &[u8], user: &[u8]) -> Result<Identity, Refusal> {
    let uid = number(user);
    let entry = entries(passwd).find(|fields| match uid {
        Some(uid) => fields.get(2).and_then(|field| number(field)) == Some(uid),
        None => !user.is_empty() && fields.first() == Some(&user) && fields.len() > 5,
    });
    let entry_of = |at: usize| entry.as_ref().and_then(|fields| fields.get(at).copied());
    let uid = uid.or_else(|| number(entry_of(2)?)).ok_or_else(|| {
        refused(RefusalCode::NoUser, format_args!("find the user {:?}", shown(user)))
    })?;
    let home = entry_of(5).filter(|home| home.starts_with(b"/"));
    Ok(Identity {
        uid,
        gid: entry_of(3).and_then(number).unwrap_or(0),
        groups: Vec::new(),
        name: entry_of(0).map(<[u8]>::to_vec),
        home: home.unwrap_or(b"/").to_vec(),
    })
}

fn of_group(table: &[u8], group: &[u8]) -> Result<u32, Refusal> {
    let named = || {
        let entry = entries(table).find(|fields| {
            !group.is_empty() && fields.first() == Some(&group) && fields.len() > 2
        })?;
        number(entry[2])
    };
    number(group).or_else(named).ok_or_else(|| {
        refused(RefusalCode::NoGroup, format_args!("find the group {:?}", shown(group)))
    })
}

/// The groups that have the user among their members.
fn memberships(table: &[u8], user: Option<&[u8]>) -> Vec<u32> {
    let Some(user) = user else { return Vec::new() };
    entries(table)
        .filter(|fields| {
            let members = fields.get(3).copied().unwrap_or_default();
            members.split(|byte| *byte == b',').any(|member| member == user)
        })
        .filter_map(|fields| number(fields[2]))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\n\
        web:x:33:34:w:/var/www:/bin/false\nbroken\n:x:5:5::/:\n# a comment\n";
    const GROUP: &[u8] = b"root:x:0:\nweb:x:34:\naudio:x:29:web,other\nvideo:x:44:other,web\n";

    fn find(user: Option<&str>, groups: &[&str]) -> Result<Identity, RefusalCode> {
        let groups: Vec<_> = groups.iter().map(|name| name.as_bytes().to_vec()).collect();
        Identity::find_in(PASSWD, GROUP, user.map(str::as_bytes), &groups)
            .map_err(|refusal| refusal.code)
    }

    fn numbers(user: &str, groups: &[&str]) -> (u32, u32, Vec<u32>) {
        let found = find(Some(user), groups).unwrap();
        (found.uid, found.gid, found.groups)
    }

    #[test]
    fn a_user_is_a_name_or_a_number_with_the_groups_that_the_guest_gives_it() {
        let root = find(None, &[]).unwrap();
        assert_eq!((root.uid, root.home.as_slice()), (0, b"/root".as_slice()));
        assert_eq!(numbers("web", &[]), (33, 34, vec![29, 44]));
        assert_eq!(numbers("33", &[]), (33, 34, vec![29, 44]));
        assert_eq!(numbers("web:audio", &[]), (33, 29, vec![]));
        assert_eq!(numbers("web:7", &["video", "8"]), (33, 7, vec![44, 8]));
        assert_eq!(numbers("4242", &[]), (4242, 0, vec![]));
    }

    #[test]
    fn a_name_that_the_guest_has_not_is_told_and_nobody_is_root_by_mistake() {
        for user in ["nobody", "", ":web", "-1", "4294967295", "4294967296", "root "] {
            assert_eq!(find(Some(user), &[]), Err(RefusalCode::NoUser), "{user:?}");
        }
        for user in ["web:", "web:none", "web:web:web"] {
            assert_eq!(find(Some(user), &[]), Err(RefusalCode::NoGroup), "{user:?}");
        }
        assert_eq!(find(Some("web"), &["none"]), Err(RefusalCode::NoGroup));
        let empty = Identity::find_in(b"", b"", None, &[]).unwrap();
        assert_eq!((empty.uid, empty.home.as_slice(), empty.name), (0, b"/".as_slice(), None));
    }

    proptest! {
        #[test]
        fn any_tables_are_read(
            passwd in proptest::collection::vec(any::<u8>(), 0..200),
            group in proptest::collection::vec(any::<u8>(), 0..200),
            user in "[a-z0-9:]{0,8}",
        ) {
            let _ = Identity::find_in(&passwd, &group, Some(user.as_bytes()), &[]);
        }
    }
}
