//! What an archive says of a file in addition: the records of a PAX header.

use thiserror::Error;

use super::node::Stamp;
use super::tree::MAX_PATH;
use super::xattrs::{XattrError, Xattrs};

/// The prefix of an extended attribute, as GNU tar and others write it.
pub(super) const XATTR: &[u8] = b"SCHILY.xattr.";

/// The reason why records were not understood.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(in crate::rootfs) enum ExtensionError {
    #[error("an extension has no record where one should be")]
    NoRecord,
    #[error("the extension `{0}` has a value that means nothing")]
    Value(String),
    #[error("the archive keeps files sparse in a way that is not understood (`{0}`)")]
    Sparse(String),
    #[error("the extension `{0}` has a path of more than {MAX_PATH} bytes")]
    LongPath(String),
    #[error(transparent)]
    Xattr(#[from] XattrError),
}

/// How much of a key a message shows.
const SHOWN: usize = 100;

/// The records that count. A later one replaces an earlier one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Extensions {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<Stamp>,
    pub(super) xattrs: Xattrs,
    /// Whether there is an access control list in text, which nothing here understands.
    pub(super) has_acl: bool,
}

impl Extensions {
    /// Adds the records of a header: `LENGTH KEY=VALUE\n`, where the value may have any bytes.
    pub(super) fn add(&mut self, mut records: &[u8]) -> Result<(), ExtensionError> {
        while !records.is_empty() {
            let (record, rest) = split_record(records).ok_or(ExtensionError::NoRecord)?;
            self.record(record.0, record.1)?;
            records = rest;
        }
        Ok(())
    }

    /// What these leave open, as `global` says it: what was said of all files.
    pub(super) fn over(self, global: &Self) -> Result<Self, ExtensionError> {
        Ok(Self {
            path: self.path.or_else(|| global.path.clone()),
            link: self.link.or_else(|| global.link.clone()),
            size: self.size.or(global.size),
            uid: self.uid.or(global.uid),
            gid: self.gid.or(global.gid),
            mtime: self.mtime.or(global.mtime),
            xattrs: self.xattrs.over(&global.xattrs)?,
            has_acl: self.has_acl || global.has_acl,
        })
    }

    fn record(&mut self, key: &[u8], value: &[u8]) -> Result<(), ExtensionError> {
        let shown = || String::from_utf8_lossy(&key[..key.len().min(SHOWN)]).into_owned();
        // One that is said of all files would be copied for each.
        let path = || match value.len() > MAX_PATH {
            true => Err(ExtensionError::LongPath(shown())),
            false => Ok(Some(value.to_vec())),
        };
        let number = || {
            let text = std::str::from_utf8(value).ok();
            text.and_then(|text| text.parse().ok()).ok_or_else(|| ExtensionError::Value(shown()))
        };
        match key {
            b"path" => self.path = path()?,
            b"linkpath" => self.link = path()?,
            b"size" => self.size = Some(number()?),
            b"uid" => self.uid = Some(number()?),
            b"gid" => self.gid = Some(number()?),
            b"mtime" => {
                let stamp = parse_stamp(value).ok_or_else(|| ExtensionError::Value(shown()))?;
                self.mtime = Some(stamp);
            }
            _ if key.starts_with(b"GNU.sparse.") => return Err(ExtensionError::Sparse(shown())),
            _ if key.starts_with(b"SCHILY.acl.") => self.has_acl = true,
            _ => {
                if let Some(name) = key.strip_prefix(XATTR) {
                    self.xattrs.insert(name, value)?;
                }
            }
        }
        Ok(())
    }
}

type Record<'a> = (&'a [u8], &'a [u8]);

fn split_record(records: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let blank = records.iter().take(20).position(|&byte| byte == b' ')?;
    let length: usize = std::str::from_utf8(&records[..blank]).ok()?.parse().ok()?;
    let body = records.get(blank + 1..length)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|&byte| byte == b'=')?;
    Some(((&body[..equals], &body[equals + 1..]), &records[length..]))
}

/// Seconds with a fraction, such as `-1.5`.
fn parse_stamp(text: &[u8]) -> Option<Stamp> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
    let nanoseconds: u32 = digits.parse().ok()?;
    if !whole.starts_with('-') || nanoseconds == 0 {
        return Some(Stamp { seconds, nanoseconds });
    }
    // The fraction of a moment before 1970 counts backwards, and the nanoseconds never do.
    let seconds = seconds.checked_sub(1)?;
    Some(Stamp { seconds, nanoseconds: 1_000_000_000 - nanoseconds })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_may_have_any_bytes() {
        let mut found = Extensions::default();
        found.add(b"30 SCHILY.xattr.user.a=1\n2=3\0\xff\n20 mtime=-1.25\n").unwrap_err();
        let mut found = Extensions::default();
        found.add(b"31 SCHILY.xattr.user.a=1\n2=3\0\xff\n15 mtime=-1.25\n").unwrap();
        let xattrs: Vec<_> = found.xattrs.iter().collect();
        assert_eq!(xattrs, [(&b"user.a"[..], &b"1\n2=3\0\xff"[..])]);
        assert_eq!(found.mtime, Some(Stamp { seconds: -2, nanoseconds: 750_000_000 }));
    }

    #[test]
    fn what_is_not_understood_is_an_error_where_it_matters() {
        let add = |records: &[u8]| Extensions::default().add(records);
        assert_eq!(add(b"11 size=-1\n"), Err(ExtensionError::Value("size".into())));
        let sparse = add(b"22 GNU.sparse.major=1\n");
        assert_eq!(sparse, Err(ExtensionError::Sparse("GNU.sparse.major".into())));
        for records in [&b"x"[..], b"5 a=b", b"99 a=b\n", b"3 \n", b"0 a=b\n", b"-5 a=b\n"] {
            assert_eq!(add(records), Err(ExtensionError::NoRecord), "{records:?}");
        }
        add(b"14 comment=hi\n").unwrap();
    }

    #[test]
    fn moments_have_nine_digits_at_most() {
        let stamp =
            |text: &str| parse_stamp(text.as_bytes()).map(|it| (it.seconds, it.nanoseconds));
        assert_eq!(stamp("12"), Some((12, 0)));
        assert_eq!(stamp("12.5"), Some((12, 500_000_000)));
        assert_eq!(stamp("12.1234567899"), Some((12, 123_456_789)));
        assert_eq!(stamp("-0.5"), Some((-1, 500_000_000)));
        assert_eq!(stamp("12.x"), None);
        assert_eq!(stamp(""), None);
    }

    proptest! {
        #[test]
        fn no_records_make_it_panic(records in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Extensions::default().add(&records);
        }
    }
}
