//! A tree as a tar stream.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, Stat, fgetxattr, flistxattr, major, minor, openat,
    readlinkat, statat,
};
use rustix::io::Errno;
use smartvm_protocol::Refusal;
use tar::{Builder, EntryType, Header};

use super::place::{Place, not_found};
use super::read::{started, stopped};
use super::stream::Outgoing;
use crate::serve::connection::Connection;
use crate::serve::refused::shown;

/// How deep a tree may be: each level holds a descriptor.
const DEPTH: usize = 256;

/// How many files with several names are told by their first one; those beyond are whole files again.
const LINKED: usize = 65_536;

/// The largest attribute that is taken along.
const ATTRIBUTE: usize = 64 << 10;

/// A directory that is being read.
struct Level {
    directory: OwnedFd,
    entries: Dir,
    path: Vec<u8>,
}

/// Packs into a stream.
struct Packer<W: Write> {
    builder: Builder<W>,
    /// The first names of files that have several.
    linked: HashMap<(u64, u64), Vec<u8>>,
}

/// Sends the tree at a path, under its own name.
pub(super) fn send(connection: &mut Connection, path: &[u8]) -> Result<(), Refusal> {
    let place = Place::find(path, false)?;
    let stat = statat(&place.directory, &place.name, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|error| not_found(shown(path), error))?;
    connection.queue(&started(&stat));
    let outgoing = Outgoing::new(connection);
    let buffered = io::BufWriter::with_capacity(64 << 10, outgoing);
    let mut packer = Packer { builder: Builder::new(buffered), linked: HashMap::new() };
    let packed = packer.pack(&place).and_then(|()| packer.builder.into_inner());
    let outgoing = packed.and_then(|buffered| Ok(buffered.into_inner()?));
    outgoing.and_then(Outgoing::finish).map_err(|error| stopped(path, &error))
}

impl<W: Write> Packer<W> {
    fn pack(&mut self, place: &Place) -> io::Result<()> {
        let name = place.name.to_bytes();
        let mut levels: Vec<Level> = self.add(&place.directory, name, name)?.into_iter().collect();
        while let Some(level) = levels.last_mut() {
            let Some(entry) = level.entries.read() else {
                levels.pop();
                continue;
            };
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let path = [&level.path, name].join(&b'/');
            if let Some(within) = self.add(&level.directory, name, &path)? {
                if levels.len() == DEPTH {
                    return Err(io::Error::other("the tree is too deep"));
                }
                levels.push(within);
            }
        }
        Ok(())
    }

    /// Packs one entry; gives a directory to go on with.
    fn add(&mut self, directory: &OwnedFd, name: &[u8], path: &[u8]) -> io::Result<Option<Level>> {
        let stat = match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // It was removed meanwhile.
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut header = header(&stat);
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let within = openat(directory, name, flags, Mode::empty())?;
                self.add_attributes(&within)?;
                header.set_entry_type(EntryType::Directory);
                let as_directory = [path, b"/"].concat();
                self.builder.append_data(&mut header, as_path(&as_directory), io::empty())?;
                let entries = Dir::read_from(&within)?;
                return Ok(Some(Level { directory: within, entries, path: path.to_vec() }));
            }
            FileType::RegularFile => self.add_file(directory, name, path, &stat, header)?,
            FileType::Symlink => {
                let target = readlinkat(directory, name, Vec::new())?;
                header.set_entry_type(EntryType::Symlink);
                self.builder.append_link(&mut header, as_path(path), as_path(target.to_bytes()))?;
            }
            FileType::Fifo => {
                header.set_entry_type(EntryType::Fifo);
                self.builder.append_data(&mut header, as_path(path), io::empty())?;
            }
            kind @ (FileType::CharacterDevice | FileType::BlockDevice) => {
                let is_block = kind == FileType::BlockDevice;
                header.set_entry_type(if is_block { EntryType::Block } else { EntryType::Char });
                header.set_device_major(major(stat.st_rdev))?;
                header.set_device_minor(minor(stat.st_rdev))?;
                self.builder.append_data(&mut header, as_path(path), io::empty())?;
            }
            // A socket is its program's, and no file.
            _ => {}
        }
        Ok(None)
    }

    fn add_file(
        &mut self,
        directory: &OwnedFd,
        name: &[u8],
        path: &[u8],
        stat: &Stat,
        mut header: Header,
    ) -> io::Result<()> {
        if stat.st_nlink > 1 {
            let known = (stat.st_dev, stat.st_ino);
            if let Some(first) = self.linked.get(&known) {
                header.set_entry_type(EntryType::Link);
                return self.builder.append_link(&mut header, as_path(path), as_path(first));
            }
            if self.linked.len() < LINKED {
                self.linked.insert(known, path.to_vec());
            }
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(directory, name, flags, Mode::empty())?;
        self.add_attributes(&file)?;
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        header.set_entry_type(EntryType::Regular);
        header.set_size(size);
        // What is written to it meanwhile is not taken along, and what is cut off is an error.
        let mut content = Exactly { file: File::from(file), left: size };
        self.builder.append_data(&mut header, as_path(path), &mut content)
    }

    fn add_attributes(&mut self, file: &OwnedFd) -> io::Result<()> {
        let mut names = vec![0; ATTRIBUTE];
        // A file system without attributes has none.
        let Ok(length) = flistxattr(file, &mut names) else { return Ok(()) };
        let mut attributes = Vec::new();
        for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            let mut value = vec![0; ATTRIBUTE];
            if let (Ok(length), Ok(name)) =
                (fgetxattr(file, name, &mut value), str::from_utf8(name))
            {
                value.truncate(length);
                attributes.push((format!("SCHILY.xattr.{name}"), value));
            }
        }
        if attributes.is_empty() {
            return Ok(());
        }
        let attributes = attributes.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        self.builder.append_pax_extensions(attributes)
    }
}

/// The bytes that a header has promised.
struct Exactly {
    file: File,
    left: u64,
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let length = self.file.read(&mut buffer[..most])?;
        if length == 0 && most > 0 {
            return Err(io::Error::other("a file was cut short while it was read"));
        }
        self.left -= length as u64;
        Ok(length)
    }
}

fn header(stat: &Stat) -> Header {
    let mut header = Header::new_gnu();
    header.set_mode(stat.st_mode & 0o7777);
    header.set_uid(stat.st_uid.into());
    header.set_gid(stat.st_gid.into());
    header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or(0));
    header.set_size(0);
    header
}

fn as_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}
