//! Extended attributes of an archive's files.

use std::collections::BTreeMap;
use std::sync::Arc;

use thiserror::Error;

/// The longest name of an attribute, in Linux.
const MAX_NAME: usize = 255;
/// What one file may have of names and values, as for Linux' `listxattr` and `setxattr`.
const MAX_OF_ONE_FILE: usize = 64 << 10;

/// The reason why an attribute was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(in crate::rootfs) enum XattrError {
    #[error("an extended attribute has a name of more than {MAX_NAME} bytes")]
    LongName,
    #[error("the extended attributes of one file have more than {MAX_OF_ONE_FILE} bytes")]
    TooMany,
}

/// Names and values. Copies are shared until one of them is changed: an archive can say once what
/// all of its files have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::rootfs) struct Xattrs {
    values: Arc<BTreeMap<Vec<u8>, Vec<u8>>>,
    bytes: usize,
}

impl Xattrs {
    /// Adds one, in place of an earlier one of its name.
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8]) -> Result<(), XattrError> {
        if name.len() > MAX_NAME {
            return Err(XattrError::LongName);
        }
        let former = self.values.get(name).map_or(0, |former| name.len() + former.len());
        let bytes = self.bytes - former + name.len() + value.len();
        if bytes > MAX_OF_ONE_FILE {
            return Err(XattrError::TooMany);
        }
        Arc::make_mut(&mut self.values).insert(name.to_vec(), value.to_vec());
        self.bytes = bytes;
        Ok(())
    }

    /// These, and of `others` those whose names are not among them.
    pub(super) fn over(self, others: &Self) -> Result<Self, XattrError> {
        if self.is_empty() {
            return Ok(others.clone());
        }
        let mut both = self;
        for (name, value) in others.iter() {
            if !both.values.contains_key(name) {
                both.insert(name, value)?;
            }
        }
        Ok(both)
    }

    pub(in crate::rootfs) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The bytes of names and values.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.values.iter().map(|(name, value)| (&name[..], &value[..]))
    }

    /// What is the same for all that share the attributes; none when nobody does.
    pub(super) fn shared_key(&self) -> Option<usize> {
        (Arc::strong_count(&self.values) > 1).then(|| Arc::as_ptr(&self.values).addr())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_has_as_much_as_linux_lets_it_have() {
        let mut xattrs = Xattrs::default();
        xattrs.insert(b"user.a", &[1; MAX_OF_ONE_FILE - 6]).unwrap();
        assert_eq!(xattrs.insert(b"user.b", b""), Err(XattrError::TooMany));
        xattrs.insert(b"user.a", b"1").unwrap();
        xattrs.insert(b"user.b", b"2").unwrap();
        assert_eq!(xattrs.bytes(), 14);
        assert_eq!(xattrs.insert(&[b'x'; 256], b""), Err(XattrError::LongName));
    }

    #[test]
    fn what_is_said_of_a_file_comes_before_what_is_said_of_all() {
        let mut all = Xattrs::default();
        all.insert(b"user.a", b"all").unwrap();
        all.insert(b"user.b", b"all").unwrap();
        let mut own = Xattrs::default();
        own.insert(b"user.a", b"own").unwrap();
        let both = own.over(&all).unwrap();
        let found: Vec<_> = both.iter().map(|(_, value)| value).collect();
        assert_eq!(found, [&b"own"[..], b"all"]);
        assert_eq!(both.shared_key(), None);
        let none = Xattrs::default().over(&all).unwrap();
        assert_eq!(none.shared_key(), all.shared_key());
        assert!(none.shared_key().is_some());
    }
}
