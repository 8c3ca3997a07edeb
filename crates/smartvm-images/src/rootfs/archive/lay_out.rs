//! A tree as files of the host, and what those cannot have as orders for `debugfs`.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::node::{Content, InodeId};
use super::tree::Tree;
use super::xattrs::Xattrs;
use crate::rootfs::ext4::Script;

/// What was laid out.
#[derive(Debug)]
pub(in crate::rootfs) struct LaidOut {
    /// Directories, files, symbolic and hard links, all of them ours and private.
    pub(in crate::rootfs) dir: PathBuf,
    /// Devices, owners, modes, times and attributes.
    pub(in crate::rootfs) script: Script,
}

/// The reason why a tree was not laid out.
#[derive(Debug, Error)]
pub(in crate::rootfs) enum LayOutError {
    #[error("`{0}` has a line end in its name, or in that of an attribute, and debugfs takes none")]
    Unspeakable(String),
    #[error("the files cannot be laid out")]
    Io(#[source] io::Error),
}

/// Lays a tree out in `scratch`, a directory whose path has no line end. The contents of its files
/// are moved there.
pub(in crate::rootfs) fn lay_out(tree: &Tree, scratch: &Path) -> Result<LaidOut, LayOutError> {
    let dir = scratch.join("files");
    let values = scratch.join("values");
    fs_err::create_dir(&values).map_err(LayOutError::Io)?;
    let mut laid = Layer {
        tree,
        dir,
        values,
        places: HashMap::new(),
        script: Script::default(),
        value: 0,
        shared: HashMap::new(),
    };
    tree.walk(|path, id| laid.put(path, id))?;
    // Times last: making what is in a directory would change its own.
    tree.walk(|path, id| laid.set_time(path, id))?;
    Ok(LaidOut { dir: laid.dir, script: laid.script })
}

struct Layer<'a> {
    tree: &'a Tree,
    dir: PathBuf,
    values: PathBuf,
    /// Where each inode of several names was put first, and how many it has so far.
    places: HashMap<InodeId, (PathBuf, u32)>,
    script: Script,
    value: u64,
    /// The files of attributes that several inodes share.
    shared: HashMap<usize, Vec<PathBuf>>,
}

impl Layer<'_> {
    fn put(&mut self, path: &[u8], id: InodeId) -> Result<(), LayOutError> {
        let inode = self.tree.get(id);
        let place = self.dir.join(OsStr::from_bytes(path.strip_prefix(b"/").unwrap_or(path)));
        let order_path: &[u8] = if path.is_empty() { b"/" } else { path };
        let unspeakable = |_| LayOutError::Unspeakable(String::from_utf8_lossy(path).into_owned());
        if let Some((first, names)) = self.places.get_mut(&id) {
            *names += 1;
            // A device has no place here: it gets its further names in the image.
            return match &inode.content {
                Content::Device(_) => {
                    let first = [b"/", below(first, &self.dir)].concat();
                    self.script.link(&first, order_path, *names).map_err(unspeakable)
                }
                _ => fs_err::hard_link(first, &place).map_err(LayOutError::Io),
            };
        }
        match &inode.content {
            Content::Directory(_) => fs_err::create_dir(&place),
            Content::File(_, spooled) => fs_err::rename(spooled, &place),
            Content::Symlink(target) => {
                fs_err::os::unix::fs::symlink(OsStr::from_bytes(target), &place)
            }
            Content::Device(kind) => {
                self.script.make_node(order_path, *kind).map_err(unspeakable)?;
                Ok(())
            }
        }
        .map_err(LayOutError::Io)?;
        if self.tree.is_linked(id) {
            self.places.insert(id, (place, 1));
        }
        let attributes = &inode.attributes;
        let mode = inode.content.type_bits() | attributes.mode;
        let owner = (attributes.uid, attributes.gid);
        self.script.set_owner_and_mode(order_path, owner, mode).map_err(unspeakable)?;
        let files = self.write_values(&attributes.xattrs).map_err(LayOutError::Io)?;
        for ((name, _), file) in attributes.xattrs.iter().zip(&files) {
            self.script.set_xattr(order_path, name, file).map_err(unspeakable)?;
        }
        Ok(())
    }

    /// Files with the values of attributes, in their order.
    fn write_values(&mut self, xattrs: &Xattrs) -> io::Result<Vec<PathBuf>> {
        let key = xattrs.shared_key();
        if let Some(files) = key.and_then(|key| self.shared.get(&key)) {
            return Ok(files.clone());
        }
        let mut files = Vec::new();
        for (_, value) in xattrs.iter() {
            let file = self.values.join(self.value.to_string());
            self.value += 1;
            fs_err::write(&file, value)?;
            files.push(file);
        }
        if let Some(key) = key {
            self.shared.insert(key, files.clone());
        }
        Ok(files)
    }

    fn set_time(&mut self, path: &[u8], id: InodeId) -> Result<(), LayOutError> {
        let mtime = self.tree.get(id).attributes.mtime;
        let path: &[u8] = if path.is_empty() { b"/" } else { path };
        let unspeakable = |_| LayOutError::Unspeakable(String::from_utf8_lossy(path).into_owned());
        self.script.set_mtime(path, mtime).map_err(unspeakable)
    }
}

fn below<'a>(place: &'a Path, dir: &Path) -> &'a [u8] {
    place.strip_prefix(dir).unwrap_or(place).as_os_str().as_bytes()
}
