//! Mounting: the kernel's own file systems, then the root.

use std::io::{self, Read};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};

use crate::cmdline::CommandLine;
use crate::failure::{self, Failure};
use crate::overlay;

/// Where the root is mounted until it becomes `/`.
pub(crate) const NEW_ROOT: &str = "/root";

/// Enough for the superblock of ext4, which begins at 1024.
const SUPERBLOCK: usize = 2048;

/// Mounts `/proc`, `/sys`, `/dev` and `/run`.
pub(crate) fn mount_kernel_file_systems() -> Result<(), Failure> {
    let hardened = MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NODEV;
    for (kind, target, flags, data) in [
        ("proc", "/proc", hardened, c""),
        ("sysfs", "/sys", hardened, c""),
        ("devtmpfs", "/dev", MountFlags::NOSUID, c"mode=0755"),
        ("tmpfs", "/run", MountFlags::NOSUID | MountFlags::NODEV, c"mode=0755"),
    ] {
        ensure_directory(target)?;
        match mount(kind, target, kind, flags, Some(data)) {
            // The kernel may have mounted it itself.
            Ok(()) | Err(Errno::BUSY) => {}
            Err(error) => return Err(Failure::new(format!("mount {kind} on {target}"), error)),
        }
    }
    Ok(())
}

/// Mounts what programs expect and an init of the root would have mounted.
pub(crate) fn mount_for_programs() {
    let plain = MountFlags::NOSUID | MountFlags::NOEXEC;
    for (kind, target, flags, data) in [
        ("devpts", "/dev/pts", plain, c"mode=0620,gid=5,ptmxmode=0666"),
        ("tmpfs", "/dev/shm", MountFlags::NOSUID | MountFlags::NODEV, c"mode=1777"),
        ("cgroup2", "/sys/fs/cgroup", plain | MountFlags::NODEV, c"nsdelegate"),
    ] {
        let mounted = ensure_directory(target).and_then(|()| {
            mount(kind, target, kind, flags, Some(data))
                .map_err(|error| Failure::new(format!("mount {kind} on {target}"), error))
        });
        // A kernel may lack one: programs go without it.
        if let Err(failure) = mounted {
            failure::report(&failure.to_string());
        }
    }
}

/// Mounts the root device at [`NEW_ROOT`]; a squashfs becomes writable by an overlay in memory.
pub(crate) fn mount_root(command_line: &CommandLine, device: &str) -> Result<(), Failure> {
    let found;
    let kind = match &command_line.root_type {
        Some(given) => given.as_str(),
        None => {
            found = detect_file_system(device)?;
            found
        }
    };
    ensure_directory(NEW_ROOT)?;
    if kind == "squashfs" {
        return overlay::mount_under_overlay(device, kind, NEW_ROOT);
    }
    let flags = if command_line.writable { MountFlags::empty() } else { MountFlags::RDONLY };
    mount_device(device, kind, NEW_ROOT, flags)
}

pub(crate) fn mount_device(
    device: &str,
    kind: &str,
    target: &str,
    flags: MountFlags,
) -> Result<(), Failure> {
    mount(device, target, kind, flags, Some(c"")).map_err(|error| {
        let what = format!("mount the root device {device} as {kind}");
        match error {
            Errno::NODEV => Failure::new(what, format!("the kernel does not know {kind}")),
            Errno::INVAL => Failure::new(what, format!("it is damaged or no {kind} file system")),
            Errno::ROFS | Errno::ACCESS => {
                Failure::new(what, "the drive is read-only: give `ro` on the kernel's command line")
            }
            error => Failure::new(what, error),
        }
    })
}

pub(crate) fn ensure_directory(path: &str) -> Result<(), Failure> {
    match rustix::fs::mkdir(path, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(Failure::new(format!("create {path}"), error)),
    }
}

fn detect_file_system(device: &str) -> Result<&'static str, Failure> {
    let start = read_start(device)
        .map_err(|error| Failure::new(format!("read the root device {device}"), error))?;
    file_system_of(&start).ok_or_else(|| {
        Failure::new(
            format!("mount the root device {device}"),
            "it holds neither ext4 nor squashfs; name another file system by rootfstype=",
        )
    })
}

fn read_start(device: &str) -> io::Result<Vec<u8>> {
    let file = rustix::fs::open(device, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut start = Vec::new();
    std::fs::File::from(file).take(SUPERBLOCK as u64).read_to_end(&mut start)?;
    Ok(start)
}

/// Tells a file system by the magic number in its superblock.
fn file_system_of(start: &[u8]) -> Option<&'static str> {
    if start.starts_with(b"hsqs") {
        Some("squashfs")
    } else if start.get(1024 + 56..1024 + 58) == Some(&0xef53_u16.to_le_bytes()) {
        // The ext4 driver mounts ext2 and ext3 as well.
        Some("ext4")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_are_told_by_their_magic_numbers() {
        let mut disk = vec![0; SUPERBLOCK];
        assert_eq!(file_system_of(&disk), None);
        disk[1024 + 56..1024 + 58].copy_from_slice(&[0x53, 0xef]);
        assert_eq!(file_system_of(&disk), Some("ext4"));
        assert_eq!(file_system_of(&disk[..1024 + 57]), None);
        assert_eq!(file_system_of(b"hsqs"), Some("squashfs"));
        assert_eq!(file_system_of(b""), None);
    }
}
