//! The files of an archive as a tree.

use std::collections::{BTreeMap, HashSet, btree_map};
use std::convert::Infallible;

use thiserror::Error;

use super::node::{Attributes, Content, Inode, InodeId, Stamp};

/// The longest name of a file, in Linux.
const MAX_NAME: usize = 255;
/// The longest path that debugfs and mksquashfs are given.
pub(super) const MAX_PATH: usize = 4000;
/// The most memory that a tree and what is made of it may take: more than a million files do.
const MAX_MEMORY: usize = 1 << 30;
/// What an inode takes, and a directory in addition; measured, and rounded up.
const INODE_MEMORY: usize = 256;
const DIRECTORY_MEMORY: usize = 512;
/// What a name takes beside the path to it, which orders for `debugfs` repeat.
const NAME_MEMORY: usize = 128;
const PATHS_MEMORY: usize = 6;
/// The most bytes of extended attributes in all, counted for each file that has them: each has them
/// in the image. Labels for millions of files are less.
const MAX_XATTRS: usize = 256 << 20;

/// The reason why an entry has no place in a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(in crate::rootfs) enum TreeError {
    #[error("its path leaves the root directory")]
    Escapes,
    #[error("its path is too long, or a part of it is")]
    TooLong,
    #[error("its path leads through something that is no directory")]
    NotADirectory,
    #[error("there is a directory in its place")]
    IsADirectory,
    #[error("it is a link to something that does not come before it")]
    NoTarget,
    #[error("it is a hard link to a directory")]
    LinkToDirectory,
    #[error("there are so many files that their names need more than {MAX_MEMORY} bytes")]
    TooMany,
    #[error("the extended attributes of all files have more than {MAX_XATTRS} bytes")]
    TooManyXattrs,
}

/// A tree of inodes. The root directory is always there.
#[derive(Debug)]
pub(in crate::rootfs) struct Tree {
    inodes: Vec<Inode>,
    /// Those with more than one name.
    linked: HashSet<InodeId>,
    memory_left: usize,
    xattrs_left: usize,
}

const ROOT: InodeId = 0;

impl Tree {
    pub(super) fn new() -> Self {
        Self {
            inodes: vec![directory()],
            linked: HashSet::new(),
            memory_left: MAX_MEMORY,
            xattrs_left: MAX_XATTRS,
        }
    }

    pub(in crate::rootfs) fn root_attributes(&self) -> &Attributes {
        &self.get(ROOT).attributes
    }

    pub(super) fn get(&self, id: InodeId) -> &Inode {
        &self.inodes[id]
    }

    /// Whether an inode has more than one name.
    pub(super) fn is_linked(&self, id: InodeId) -> bool {
        self.linked.contains(&id)
    }

    /// How many inodes there are, those that were replaced among them.
    pub(in crate::rootfs) fn inodes(&self) -> usize {
        self.inodes.len()
    }

    /// The bytes of all files in blocks of 4 KiB.
    pub(in crate::rootfs) fn content_bytes(&self) -> u64 {
        let sizes = self.inodes.iter().map(|inode| match &inode.content {
            Content::File(size, _) => *size,
            // A block holds some forty long names.
            Content::Directory(entries) => 4096 * (1 + entries.len() as u64 / 32),
            Content::Symlink(_) | Content::Device(_) => 0,
        });
        let xattrs = self.inodes.iter().filter(|inode| !inode.attributes.xattrs.is_empty()).count();
        let blocks = sizes.map(|size| size.div_ceil(4096)).sum::<u64>() + xattrs as u64;
        blocks.saturating_mul(4096)
    }

    /// Puts an inode at a path: in place of what is there, except that a directory stays and only
    /// gets the attributes. Directories on the way that nothing was said of are made.
    pub(super) fn put(&mut self, path: &[u8], inode: Inode) -> Result<(), TreeError> {
        let xattrs = inode.attributes.xattrs.bytes();
        self.xattrs_left = self.xattrs_left.checked_sub(xattrs).ok_or(TreeError::TooManyXattrs)?;
        let Some((parent, name)) = self.place(path)? else {
            return match inode.content {
                Content::Directory(_) => {
                    self.inodes[ROOT].attributes = inode.attributes;
                    Ok(())
                }
                _ => Err(TreeError::IsADirectory),
            };
        };
        if let Some(id) = self.entry(parent, name)
            && let Content::Directory(_) = self.get(id).content
        {
            if !matches!(inode.content, Content::Directory(_)) {
                return Err(TreeError::IsADirectory);
            }
            self.inodes[id].attributes = inode.attributes;
            return Ok(());
        }
        let id = self.add(inode)?;
        self.name(parent, name, path.len(), id)
    }

    /// Gives what is at `target` one more name.
    pub(super) fn link(&mut self, path: &[u8], target: &[u8]) -> Result<(), TreeError> {
        let id = self.find(target)?.ok_or(TreeError::NoTarget)?;
        if matches!(self.get(id).content, Content::Directory(_)) {
            return Err(TreeError::LinkToDirectory);
        }
        let (parent, name) = self.place(path)?.ok_or(TreeError::IsADirectory)?;
        if let Some(there) = self.entry(parent, name)
            && matches!(self.get(there).content, Content::Directory(_))
        {
            return Err(TreeError::IsADirectory);
        }
        self.linked.insert(id);
        self.name(parent, name, path.len(), id)
    }

    fn find(&self, path: &[u8]) -> Result<Option<InodeId>, TreeError> {
        let mut id = ROOT;
        for name in parts(path)? {
            match self.entry(id, name) {
                Some(next) => id = next,
                None => return Ok(None),
            }
        }
        Ok(Some(id))
    }

    /// The directory that a path's last part is in, and that part; none for the root itself.
    fn place<'p>(&mut self, path: &'p [u8]) -> Result<Option<(InodeId, &'p [u8])>, TreeError> {
        let mut parts = parts(path)?;
        let Some(name) = parts.pop() else { return Ok(None) };
        let mut parent = ROOT;
        let mut length = 0;
        for part in parts {
            length += 1 + part.len();
            parent = match self.entry(parent, part) {
                Some(id) => id,
                None => {
                    let id = self.add(directory())?;
                    self.name(parent, part, length, id)?;
                    id
                }
            };
            self.entries(parent)?;
        }
        Ok(Some((parent, name)))
    }

    fn entry(&self, id: InodeId, name: &[u8]) -> Option<InodeId> {
        match &self.get(id).content {
            Content::Directory(entries) => entries.get(name).copied(),
            _ => None,
        }
    }

    fn entries(&mut self, id: InodeId) -> Result<&mut BTreeMap<Vec<u8>, InodeId>, TreeError> {
        match &mut self.inodes[id].content {
            Content::Directory(entries) => Ok(entries),
            _ => Err(TreeError::NotADirectory),
        }
    }

    fn add(&mut self, inode: Inode) -> Result<InodeId, TreeError> {
        let content = match &inode.content {
            Content::Directory(_) => DIRECTORY_MEMORY,
            Content::Symlink(target) => target.len(),
            Content::File(..) | Content::Device(_) => 0,
        };
        self.take_memory(INODE_MEMORY + content)?;
        self.inodes.push(inode);
        Ok(self.inodes.len() - 1)
    }

    /// Gives an inode a name, whose path has `length` bytes.
    fn name(
        &mut self,
        parent: InodeId,
        name: &[u8],
        length: usize,
        id: InodeId,
    ) -> Result<(), TreeError> {
        self.entries(parent)?;
        self.take_memory(NAME_MEMORY + name.len() + PATHS_MEMORY * length)?;
        self.entries(parent)?.insert(name.to_vec(), id);
        Ok(())
    }

    fn take_memory(&mut self, bytes: usize) -> Result<(), TreeError> {
        self.memory_left = self.memory_left.checked_sub(bytes).ok_or(TreeError::TooMany)?;
        Ok(())
    }

    /// Calls `see` with every path and the time of its last change.
    pub(in crate::rootfs) fn see_times(&self, mut see: impl FnMut(&[u8], Stamp)) {
        let seen: Result<(), Infallible> = self.walk(|path, id| {
            see(path, self.get(id).attributes.mtime);
            Ok(())
        });
        let Ok(()) = seen;
    }

    /// Calls `visit` with every path and inode, a directory before what is in it. The root's path is
    /// empty, all others begin with `/`.
    pub(super) fn walk<E>(
        &self,
        mut visit: impl FnMut(&[u8], InodeId) -> Result<(), E>,
    ) -> Result<(), E> {
        // Not by recursion, as a path may have thousands of parts; and one path is held at a time, as a
        // directory may have millions of names.
        let mut path = Vec::new();
        visit(&path, ROOT)?;
        let mut open: Vec<_> = self.below(ROOT).map(|entries| (entries, 0)).into_iter().collect();
        while let Some((entries, length)) = open.last_mut() {
            path.truncate(*length);
            let Some((name, &id)) = entries.next() else {
                open.pop();
                continue;
            };
            path.push(b'/');
            path.extend_from_slice(name);
            visit(&path, id)?;
            open.extend(self.below(id).map(|entries| (entries, path.len())));
        }
        Ok(())
    }

    fn below(&self, id: InodeId) -> Option<btree_map::Iter<'_, Vec<u8>, InodeId>> {
        match &self.get(id).content {
            Content::Directory(entries) => Some(entries.iter()),
            _ => None,
        }
    }
}

fn directory() -> Inode {
    let attributes = Attributes { mode: 0o755, ..Attributes::default() };
    Inode { attributes, content: Content::Directory(BTreeMap::new()) }
}

/// The parts of a path that begins at the root directory, whether it says so or not.
fn parts(path: &[u8]) -> Result<Vec<&[u8]>, TreeError> {
    let parts = path.split(|&byte| byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
    let parts: Vec<_> = parts.collect();
    if parts.contains(&&b".."[..]) {
        return Err(TreeError::Escapes);
    }
    if path.len() > MAX_PATH || parts.iter().any(|part| part.len() > MAX_NAME) {
        return Err(TreeError::TooLong);
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symlink(target: &str) -> Inode {
        let content = Content::Symlink(target.as_bytes().to_vec());
        Inode { attributes: Attributes::default(), content }
    }

    fn paths(tree: &Tree) -> Vec<String> {
        let mut paths = Vec::new();
        tree.walk(|path, _| {
            paths.push(String::from_utf8(path.to_vec()).unwrap());
            Ok::<_, ()>(())
        })
        .unwrap();
        paths
    }

    #[test]
    fn directories_on_the_way_are_made_and_come_before_what_is_in_them() {
        let mut tree = Tree::new();
        tree.put(b"./a/b/c", symlink("x")).unwrap();
        tree.put(b"/a/d", symlink("x")).unwrap();
        tree.link(b"a/e", b"./a/d").unwrap();
        assert_eq!(paths(&tree), ["", "/a", "/a/b", "/a/b/c", "/a/d", "/a/e"]);
        assert_eq!(tree.find(b"a/d"), tree.find(b"a/e"));
    }

    #[test]
    fn nothing_leaves_the_root_or_goes_through_a_link() {
        let mut tree = Tree::new();
        tree.put(b"etc", symlink("/etc")).unwrap();
        for (path, expected) in [
            (&b"../x"[..], TreeError::Escapes),
            (b"a/../../x", TreeError::Escapes),
            (b"etc/passwd", TreeError::NotADirectory),
            (b"/", TreeError::IsADirectory),
            (&[b'x'; 256], TreeError::TooLong),
            (&b"x/".repeat(2001), TreeError::TooLong),
        ] {
            assert_eq!(tree.put(path, symlink("x")), Err(expected));
            assert_eq!(tree.link(path, b"etc"), Err(expected));
        }
        assert_eq!(tree.link(b"y", b"etc/passwd"), Err(TreeError::NoTarget));
        assert_eq!(tree.link(b"y", b"../etc"), Err(TreeError::Escapes));
        assert_eq!(tree.link(b"y", b"/"), Err(TreeError::LinkToDirectory));
        assert_eq!(paths(&tree), ["", "/etc"]);
    }

    #[test]
    fn a_later_entry_replaces_an_earlier_one_but_no_directory() {
        let mut tree = Tree::new();
        tree.put(b"a", symlink("first")).unwrap();
        tree.link(b"b", b"a").unwrap();
        tree.put(b"a", symlink("second")).unwrap();
        let target = |tree: &Tree, path| match &tree.get(tree.find(path).unwrap().unwrap()).content
        {
            Content::Symlink(target) => String::from_utf8(target.clone()).unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            (target(&tree, b"a").as_str(), target(&tree, b"b").as_str()),
            ("second", "first")
        );
        tree.put(b"d/f", symlink("x")).unwrap();
        assert_eq!(tree.put(b"d", symlink("x")), Err(TreeError::IsADirectory));
        let mut private = directory();
        private.attributes.mode = 0o700;
        tree.put(b"d/", private).unwrap();
        assert_eq!(tree.get(tree.find(b"d").unwrap().unwrap()).attributes.mode, 0o700);
        assert!(tree.find(b"d/f").unwrap().is_some());
    }
}
