//! All that can be seen of the files in a directory.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use smartvm_images::Sha256Digest;

/// How exactly times are looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Times {
    Whole,
    /// Whole seconds since 1970, which is what squashfs has.
    Squashed,
}

/// Each path with everything about it, a line each. The root is `.`.
pub(crate) type Portrait = BTreeMap<String, String>;

pub(crate) fn portrait(root: &Path, times: Times) -> Portrait {
    let mut portrait = Portrait::new();
    let mut open = vec![root.to_owned()];
    while let Some(path) = open.pop() {
        let found = fs_err::symlink_metadata(&path).unwrap();
        if found.is_dir() {
            open.extend(fs_err::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes();
        let name = format!("./{}", name.escape_ascii());
        portrait.insert(name, describe(&path, &found, times));
    }
    portrait
}

fn describe(path: &Path, found: &std::fs::Metadata, times: Times) -> String {
    let time = match times {
        Times::Whole => format!("{}.{:09}", found.mtime(), found.mtime_nsec()),
        Times::Squashed => found.mtime().clamp(0, u32::MAX.into()).to_string(),
    };
    let links = if found.is_dir() { 0 } else { found.nlink() };
    let content = if found.is_file() {
        format!("{} bytes {}", found.len(), Sha256Digest::of_file(path).unwrap())
    } else if found.is_symlink() {
        format!("to {}", fs_err::read_link(path).unwrap().display())
    } else {
        format!("device {:#x}", found.rdev())
    };
    format!(
        "{:o} {}:{} {time} {links} links, {content}, {}",
        found.mode(),
        found.uid(),
        found.gid(),
        attributes(path)
    )
}

fn attributes(path: &Path) -> String {
    let mut names = vec![0; 64 << 10];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap();
    let mut names: Vec<_> = names[..length].split(|&byte| byte == 0).collect();
    names.retain(|name| !name.is_empty());
    names.sort_unstable();
    let mut value = vec![0; 64 << 10];
    let mut said = Vec::new();
    for name in names {
        let length = rustix::fs::lgetxattr(path, name, &mut value[..]).unwrap();
        said.push(format!("{}={}", name.escape_ascii(), value[..length].escape_ascii()));
    }
    said.join(" ")
}

/// Fails with every difference.
#[track_caller]
pub(crate) fn assert_same(expected: &Portrait, found: &Portrait) {
    let mut differences = Vec::new();
    for name in expected.keys().chain(found.keys().filter(|name| !expected.contains_key(*name))) {
        let (expected, found) = (expected.get(name), found.get(name));
        if expected != found {
            differences.push(format!("{name}:\n  {expected:?}\n  {found:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
