//! A tree as an archive again, in the one form that `mksquashfs` reads without faults.
//!
//! Version 4.5 stops at an extension of the root directory, and takes attributes whole only from
//! extensions.

use std::collections::HashMap;
use std::io::{self, Read, Write};

use super::extension::XATTR;
use super::header::{BLOCK, checksum};
use super::node::{Content, DeviceKind, DeviceNumber, Inode, InodeId};
use super::tree::Tree;

/// Writes all of a tree but its root directory.
pub(in crate::rootfs) fn write_archive(tree: &Tree, output: &mut dyn Write) -> io::Result<()> {
    let mut first_names: HashMap<InodeId, Vec<u8>> = HashMap::new();
    tree.walk(|path, id| {
        let Some(path) = path.strip_prefix(b"/") else { return Ok(()) };
        let inode = tree.get(id);
        if let Some(first) = first_names.get(&id) {
            return Head::of(inode, b'1', path).to(first).write(output);
        }
        if tree.is_linked(id) {
            first_names.insert(id, path.to_vec());
        }
        match &inode.content {
            Content::Directory(_) => Head::of(inode, b'5', path).write(output),
            Content::Symlink(target) => Head::of(inode, b'2', path).to(target).write(output),
            Content::Device(DeviceKind::Pipe) => Head::of(inode, b'6', path).write(output),
            Content::Device(DeviceKind::Character(number)) => {
                Head { number: *number, ..Head::of(inode, b'3', path) }.write(output)
            }
            Content::Device(DeviceKind::Block(number)) => {
                Head { number: *number, ..Head::of(inode, b'4', path) }.write(output)
            }
            Content::File(size, spooled) => {
                Head { size: *size, ..Head::of(inode, b'0', path) }.write(output)?;
                let mut content = fs_err::File::open(spooled)?.take(*size);
                let copied = io::copy(&mut content, output)?;
                if copied < *size {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                pad(output, *size)
            }
        }
    })?;
    output.write_all(&[0; 2 * BLOCK])
}

/// What is written before a content.
struct Head<'a> {
    inode: &'a Inode,
    kind: u8,
    path: &'a [u8],
    link: &'a [u8],
    size: u64,
    number: DeviceNumber,
}

impl<'a> Head<'a> {
    fn of(inode: &'a Inode, kind: u8, path: &'a [u8]) -> Self {
        let number = DeviceNumber { major: 0, minor: 0 };
        Self { inode, kind, path, link: b"", size: 0, number }
    }

    fn to(self, link: &'a [u8]) -> Self {
        Self { link, ..self }
    }

    fn write(&self, output: &mut dyn Write) -> io::Result<()> {
        let extension = self.extension();
        if !extension.is_empty() {
            let size = extension.len() as u64;
            output.write_all(&block(b"pax", b"", b'x', size, [0o644, 0, 0, 0, 0, 0]))?;
            output.write_all(&extension)?;
            pad(output, size)?;
        }
        let attributes = &self.inode.attributes;
        let numbers = [
            u64::from(attributes.mode),
            u64::from(attributes.uid),
            u64::from(attributes.gid),
            // What squashfs can keep.
            u64::from(clamp(attributes.mtime.seconds)),
            u64::from(self.number.major),
            u64::from(self.number.minor),
        ];
        output.write_all(&block(self.path, self.link, self.kind, self.size, numbers))
    }

    /// What does not fit into the header.
    fn extension(&self) -> Vec<u8> {
        let mut records = Vec::new();
        let attributes = &self.inode.attributes;
        for (key, value) in [(&b"path"[..], self.path), (b"linkpath", self.link)] {
            if value.len() > 100 {
                add_record(&mut records, key, value);
            }
        }
        let numbers = [("uid", attributes.uid), ("gid", attributes.gid)];
        for (key, value) in numbers.into_iter().filter(|(_, value)| *value > 0o7_777_777) {
            add_record(&mut records, key.as_bytes(), value.to_string().as_bytes());
        }
        if self.size > 0o77_777_777_777 {
            add_record(&mut records, b"size", self.size.to_string().as_bytes());
        }
        // A further name has those of the first.
        let xattrs = attributes.xattrs.iter().filter(|_| self.kind != b'1');
        for (name, value) in xattrs {
            add_record(&mut records, &[XATTR, name].concat(), value);
        }
        records
    }
}

/// The seconds that 32 bits can say.
pub(in crate::rootfs) fn clamp(seconds: i64) -> u32 {
    u32::try_from(seconds.clamp(0, i64::from(u32::MAX))).unwrap_or_default()
}

/// A header; `numbers` are mode, owner, group, time, major and minor.
fn block(path: &[u8], link: &[u8], kind: u8, size: u64, numbers: [u64; 6]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &path[..path.len().min(100)]);
    put(157, &link[..link.len().min(100)]);
    put(257, b"ustar\x0000");
    // What does not fit is in the extension, or a device number.
    let mut number = |at: usize, digits: usize, value: u64| {
        let text = format!("{value:0digits$o}");
        if text.len() == digits {
            put(at, text.as_bytes());
        } else {
            let bytes = value.to_be_bytes();
            put(at, &[0x80; 1]);
            put(at + digits + 1 - 7, &bytes[1..]);
        }
    };
    let [mode, uid, gid, mtime, major, minor] = numbers;
    number(100, 7, mode);
    number(108, 7, uid);
    number(116, 7, gid);
    number(124, 11, size);
    number(136, 11, mtime);
    number(329, 7, major);
    number(337, 7, minor);
    block[156] = kind;
    let sum = format!("{:06o}\0 ", checksum(&block));
    block[148..156].copy_from_slice(sum.as_bytes());
    block
}

fn pad(output: &mut dyn Write, size: u64) -> io::Result<()> {
    let block = BLOCK as u64;
    let padding = usize::try_from((block - size % block) % block).unwrap_or_default();
    output.write_all(&[0; BLOCK][..padding])
}

/// A record, whose length counts its own digits.
fn add_record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    records.extend_from_slice(format!("{length} ").as_bytes());
    records.extend_from_slice(&[key, b"=", value, b"\n"].concat());
}
