//! Control groups of version 2: one for each program of a session.
//!
//! A group's kill reaches whatever the program has started, wherever it has hidden; its events tell whom the kernel
//! killed when memory ran out; freezing the group above stops all of them at once.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{AtFlags, Dir, Mode, OFlags, mkdirat, openat, unlinkat};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};
use smartvm_protocol::host::StartExec;
use smartvm_protocol::shared::Role;

/// The group above those of programs, below the agent's own or, for process 1, below all.
const NAME: &str = "smartvm";

/// What limits need, and what tells who ran out of memory.
const CONTROLLERS: [&str; 3] = ["memory", "pids", "cpu"];

/// The period in which processor time is counted, in microseconds.
const CPU_PERIOD_US: u64 = 100_000;

/// How deep groups within groups of a program are looked for.
const DEPTH: u32 = 8;

/// The group that holds those of programs.
#[derive(Debug)]
pub(crate) struct Groups {
    directory: OwnedFd,
}

/// The group of one program, removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Group {
    parent: OwnedFd,
    directory: OwnedFd,
    name: String,
}

impl Groups {
    /// Opens the hierarchy that is mounted, makes our group in it, and ends what a former agent has left there. None
    /// where there is no such hierarchy, or it is not ours to change.
    pub(crate) fn open(role: Role) -> Option<Self> {
        // The init that comes after us mounts the same hierarchy elsewhere, if it does.
        let mounted = mount_point().or_else(|| (role == Role::Beside).then(mount_own)?);
        let root = open_directory(rustix::fs::CWD, &mounted?).ok()?;
        let own = own_group(role)?;
        let above = open_directory(&root, &own).ok()?;
        // The root of all may give its controllers away although it has processes of its own. Without them, groups can
        // still be killed and frozen.
        enable_controllers(&above);
        ensure_directory(&above, NAME).ok()?;
        let directory = open_directory(&above, NAME).ok()?;
        enable_controllers(&directory);
        let groups = Self { directory };
        groups.sweep();
        Some(groups)
    }

    /// Makes a group with the limits that a program shall have.
    pub(crate) fn create(&self, name: &str, limits: &StartExec) -> Result<Group, Errno> {
        mkdirat(&self.directory, name, Mode::from_raw_mode(0o755))?;
        let opened = open_directory(&self.directory, name);
        let Ok(directory) = opened else {
            unlinkat(&self.directory, name, AtFlags::REMOVEDIR)?;
            return opened.map(|_| unreachable!("it is an error"));
        };
        let parent = rustix::io::fcntl_dupfd_cloexec(&self.directory, 0)?;
        let group = Group { parent, directory, name: name.to_owned() };
        if let Some(bytes) = limits.memory_max {
            group.write("memory.max", &bytes.to_string())?;
        }
        if let Some(count) = limits.pids_max {
            group.write("pids.max", &count.to_string())?;
        }
        if let Some(permille) = limits.cpu_max_permille {
            let quota = (u64::from(permille) * CPU_PERIOD_US / 1000).max(1000);
            group.write("cpu.max", &format!("{quota} {CPU_PERIOD_US}"))?;
        }
        Ok(group)
    }

    /// Kills every program.
    pub(crate) fn kill_all(&self) {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        if let Ok(file) = openat(&self.directory, "cgroup.kill", flags, Mode::empty()) {
            let _ = rustix::io::write(&file, b"1");
        }
    }

    /// Removes groups that a former agent, killed itself, has left.
    fn sweep(&self) {
        for name in children(&self.directory) {
            let Ok(directory) = open_directory(&self.directory, &name) else { continue };
            let parent = rustix::io::fcntl_dupfd_cloexec(&self.directory, 0);
            if let Ok(parent) = parent {
                let group = Group { parent, directory, name };
                group.kill();
                group.wait_until_empty(Instant::now() + std::time::Duration::from_secs(1));
            }
        }
    }
}

impl Group {
    /// Kills every process in it and in the groups within.
    pub(crate) fn kill(&self) {
        if self.write("cgroup.kill", "1").is_ok() {
            return;
        }
        // A kernel before 5.14.
        let Ok(processes) = self.read("cgroup.procs") else { return };
        for pid in processes.lines().filter_map(|line| line.parse().ok()) {
            if let Some(pid) = rustix::process::Pid::from_raw(pid) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }

    /// How many processes the kernel has killed in it as memory ran out.
    pub(crate) fn oom_kills(&self) -> u64 {
        let events = self.read("memory.events").unwrap_or_default();
        value(&events, "oom_kill").unwrap_or(0)
    }

    /// Waits until no process is in it, at most until `deadline`.
    pub(crate) fn wait_until_empty(&self, deadline: Instant) {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let Ok(events) = openat(&self.directory, "cgroup.events", flags, Mode::empty()) else {
            return;
        };
        loop {
            let mut text = [0; 256];
            let length = rustix::io::pread(&events, &mut text, 0).unwrap_or(0);
            let text = String::from_utf8_lossy(&text[..length]);
            let left = deadline.saturating_duration_since(Instant::now());
            if value(&text, "populated") != Some(1) || left.is_zero() {
                return;
            }
            // The kernel tells a change of this file as a condition that is out of the ordinary.
            let timeout = Timespec::try_from(left).ok();
            let _ = poll(&mut [PollFd::new(&events, PollFlags::PRI)], timeout.as_ref());
        }
    }

    fn write(&self, file: &str, text: &str) -> Result<(), Errno> {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let file = openat(&self.directory, file, flags, Mode::empty())?;
        rustix::io::write(&file, text.as_bytes()).map(drop)
    }

    fn read(&self, file: &str) -> Result<String, Errno> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = openat(&self.directory, file, flags, Mode::empty())?;
        let mut text = String::new();
        File::from(file).read_to_string(&mut text).map_err(|_| Errno::IO)?;
        Ok(text)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        remove_within(&self.directory, DEPTH);
        // A group that still has a process stays until the next agent's sweep.
        let _ = unlinkat(&self.parent, self.name.as_str(), AtFlags::REMOVEDIR);
    }
}

impl AsFd for Group {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

/// Removes the groups within one: programs may have made some.
fn remove_within(directory: &OwnedFd, depth: u32) {
    if depth == 0 {
        return;
    }
    for name in children(directory) {
        if let Ok(child) = open_directory(directory, &name) {
            remove_within(&child, depth - 1);
        }
        let _ = unlinkat(directory, name.as_str(), AtFlags::REMOVEDIR);
    }
}

/// The names of the groups in one.
fn children(directory: &OwnedFd) -> Vec<String> {
    let entries = Dir::read_from(directory).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_dir())
        .filter_map(|entry| Some(entry.file_name().to_str().ok()?.to_owned()))
        .filter(|name| name != "." && name != "..")
        .collect()
}

fn enable_controllers(directory: &OwnedFd) {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let Ok(file) = openat(directory, "cgroup.subtree_control", flags, Mode::empty()) else {
        return;
    };
    // One by one: a kernel that lacks one refuses all of a list.
    let mut word = String::new();
    for controller in CONTROLLERS {
        word.clear();
        // It is written into memory.
        let _ = write!(word, "+{controller}");
        let _ = rustix::io::write(&file, word.as_bytes());
    }
}

fn ensure_directory(parent: impl AsFd, name: &str) -> Result<(), Errno> {
    match mkdirat(parent, name, Mode::from_raw_mode(0o755)) {
        Err(Errno::EXIST) => Ok(()),
        other => other,
    }
}

fn open_directory(parent: impl AsFd, path: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(parent, if path.is_empty() { "." } else { path }, flags, Mode::empty())
}

/// Where the hierarchy of version 2 is mounted.
fn mount_point() -> Option<String> {
    find_mount_point(&read_proc("/proc/self/mountinfo")?)
}

fn find_mount_point(mounts: &str) -> Option<String> {
    mounts.lines().find_map(|line| {
        let (mount, source) = line.split_once(" - ")?;
        let target = mount.split(' ').nth(4)?;
        source.starts_with("cgroup2 ").then(|| target.to_owned())
    })
}

/// Mounts it where only we look.
fn mount_own() -> Option<String> {
    const PARTS: [&str; 2] = ["/run/smartvm", "/run/smartvm/cgroup"];
    for part in PARTS {
        ensure_directory(rustix::fs::CWD, part).ok()?;
    }
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NODEV;
    mount("cgroup2", PARTS[1], "cgroup2", flags, None).ok()?;
    Some(PARTS[1].to_owned())
}

/// The group that ours is made in, without the first `/`: that of a service is its init's gift, and otherwise it is the
/// root of all, as the init that comes after us takes what it finds there into a group of its own.
fn own_group(role: Role) -> Option<String> {
    if role != Role::Service {
        return Some(String::new());
    }
    let groups = read_proc("/proc/self/cgroup")?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(own.to_owned())
}

fn read_proc(path: &str) -> Option<String> {
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut text = String::new();
    File::from(file).read_to_string(&mut text).ok()?;
    Some(text)
}

/// What a file of `NAME VALUE` lines says.
fn value(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hierarchy_of_version_2_is_found_among_mounts() {
        let mounts = "22 1 0:20 / /sys rw - sysfs sysfs rw\n\
             30 22 0:25 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
             31 22 0:26 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw\n";
        assert_eq!(find_mount_point(mounts).unwrap(), "/sys/fs/cgroup/unified");
        assert_eq!(find_mount_point(""), None);
    }

    #[test]
    fn events_are_read_by_their_whole_name() {
        let events = "low 0\noom 3\noom_kill 2\noom_group_kill 1\n";
        assert_eq!(value(events, "oom_kill"), Some(2));
        assert_eq!(value(events, "none"), None);
    }
}
