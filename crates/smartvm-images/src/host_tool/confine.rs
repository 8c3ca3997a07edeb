//! What a program of the host may, that reads what others wrote.
//!
//! `mkfs.ext4`, `debugfs`, `e2fsck`, `resize2fs` and `mksquashfs` are large programs in C that take images and names
//! apart. So each runs
//! * as a user of its own when we are root, in namespaces of its own (network, IPC, host name), without capabilities
//!   but the one to read, which the next line narrows;
//! * under Landlock: it reads the system's programs and libraries and what the call names, and writes to the image
//!   alone, which is handed to it by descriptor;
//! * under a filter of system calls: it has no sockets, traces nobody, mounts nothing;
//! * with limits of processor time, memory, file size, files and, as a user of its own, processes;
//! * until we end.
//!
//! What the host's kernel cannot do is left out; [`ToolConfinement`] says which.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};
use rustix::thread::{CapabilitySet, CapabilitySets, UnshareFlags};
use seccompiler::BpfProgram;

use super::filter::system_call_filter;
use super::landlock::ruleset;

/// The users and groups that such programs are, each call another: nobody else's, just below those of VMs.
pub const TOOL_USERS: std::ops::RangeInclusive<u32> = 1_899_934_464..=1_899_999_999;

/// The user of a call. That two programs at once are one user takes as many calls as there are users.
fn next_user() -> u32 {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let count = TOOL_USERS.end() - TOOL_USERS.start() + 1;
    TOOL_USERS.start() + std::process::id().wrapping_mul(97).wrapping_add(call) % count
}

/// The limits: beyond what the largest image that we make needs.
const CPU_SECONDS: u64 = 3600;
const MEMORY: u64 = 16 << 30;
const FILE_SIZE: u64 = 17 << 40;
const OPEN_FILES: u64 = 512;
const PROCESSES: u64 = 512;

/// What holds of the programs of the host here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToolConfinement {
    /// Whether they are a user of their own, which takes root.
    pub own_user: bool,
    /// Whether Landlock keeps them to the files that they need.
    pub landlock: bool,
}

impl ToolConfinement {
    /// Looks what this host and user can do.
    #[must_use]
    pub fn of_this_host() -> Self {
        Self { own_user: is_root(), landlock: super::landlock::is_there() }
    }
}

/// What a program may reach.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// Files and directories that it reads, with all below them.
    pub(super) reads: Vec<PathBuf>,
    /// What it starts from.
    pub(super) programs: Vec<PathBuf>,
    /// The image that it reads and writes.
    pub(super) image: Option<Image>,
    /// Whom it is to take itself for: user and group.
    pub(super) seeming: Option<(u32, u32)>,
    /// The user that it is to be, when it is not to be ours.
    pub(super) user: Option<u32>,
}

/// The user that a program is to be; none when it can only be ours.
pub(super) fn user_of_a_call() -> Option<u32> {
    is_root().then(next_user)
}

/// An image that is handed over.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) path: PathBuf,
    file: File,
    /// Whose it is otherwise, when it was given to the program's user.
    owner: Option<(u32, u32)>,
}

impl Image {
    /// Opens it for the program, and gives it to the program's user for as long as this lives.
    pub(super) fn hand_over(path: PathBuf, user: Option<u32>) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let file = File::from(rustix::fs::open(
            &path,
            rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        )?);
        let found = file.metadata()?;
        let mut image = Self { path, file, owner: None };
        if user.is_some() {
            std::os::unix::fs::fchown(&image.file, user, user)?;
            image.owner = Some((found.uid(), found.gid()));
        }
        Ok(image)
    }

    /// What the program opens.
    pub(super) fn argument(&self) -> String {
        format!("/proc/self/fd/{}", self.file.as_raw_fd())
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        if let Some((uid, gid)) = self.owner
            && let Err(error) = std::os::unix::fs::fchown(&self.file, Some(uid), Some(gid))
        {
            tracing::warn!(%error, image = %self.path.display(), "an image is not its owner's again");
        }
    }
}

/// All that a child needs to confine itself, made before there is one: there, nothing may be allocated.
struct Steps {
    user: Option<u32>,
    image: Option<i32>,
    seeming: Option<IdMaps>,
    landlock: Option<OwnedFd>,
    filter: BpfProgram,
}

/// The lines that make one user and group out of another.
struct IdMaps {
    user: String,
    group: String,
}

/// Has `command` confine itself before it becomes the program.
pub(super) fn confine(command: &mut Command, reach: &Reach) -> io::Result<()> {
    let ours = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let (uid, gid) = reach.user.map_or(ours, |user| (user, user));
    let steps = Steps {
        user: reach.user,
        image: reach.image.as_ref().map(|image| image.file.as_raw_fd()),
        seeming: reach.seeming.map(|(seeming_uid, seeming_gid)| IdMaps {
            user: format!("{seeming_uid} {uid} 1"),
            group: format!("{seeming_gid} {gid} 1"),
        }),
        landlock: ruleset(reach)?,
        filter: system_call_filter()?,
    };
    #[expect(unsafe_code, reason = "a child confines itself between fork and exec")]
    // SAFETY: what runs there makes system calls alone: it allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(move || steps.take());
    }
    // Which it cannot leave: all that it has started ends with it.
    command.process_group(0);
    Ok(())
}

impl Steps {
    fn take(&self) -> io::Result<()> {
        self.limit()?;
        if let Some(user) = self.user {
            unshare(UnshareFlags::NEWNET | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS)?;
            become_user(user)?;
        }
        if let Some(maps) = &self.seeming {
            maps.enter()?;
        }
        if let Some(image) = self.image {
            keep_open(image)?;
        }
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        rustix::thread::set_no_new_privs(true)?;
        if let Some(landlock) = &self.landlock {
            restrict(landlock)?;
        }
        seccompiler::apply_filter(&self.filter).map_err(|_| io::ErrorKind::PermissionDenied.into())
    }

    fn limit(&self) -> io::Result<()> {
        let mut limits = limits();
        // Others of ours count as well where the user is not its own.
        if self.user.is_none() {
            limits[4] = None;
        }
        for (resource, most) in limits.into_iter().flatten() {
            let hard = rustix::process::getrlimit(resource).maximum;
            let most = hard.map_or(most, |hard| hard.min(most));
            let limit = Rlimit { current: Some(most), maximum: Some(most) };
            rustix::process::setrlimit(resource, limit)?;
        }
        Ok(())
    }
}

fn limits() -> [Option<(Resource, u64)>; 5] {
    [
        Some((Resource::Cpu, CPU_SECONDS)),
        Some((Resource::As, MEMORY)),
        Some((Resource::Fsize, FILE_SIZE)),
        Some((Resource::Nofile, OPEN_FILES)),
        Some((Resource::Nproc, PROCESSES)),
    ]
}

impl IdMaps {
    /// Takes itself for another from here on, with its rights over its own files alone.
    fn enter(&self) -> io::Result<()> {
        unshare(UnshareFlags::NEWUSER)?;
        // Its own entries in /proc are root's since it changed its user.
        rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable)?;
        write_to(c"/proc/self/setgroups", b"deny")?;
        write_to(c"/proc/self/uid_map", self.user.as_bytes())?;
        write_to(c"/proc/self/gid_map", self.group.as_bytes())
    }
}

fn become_user(user: u32) -> io::Result<()> {
    let (uid, gid) = (rustix::fs::Uid::from_raw(user), rustix::fs::Gid::from_raw(user));
    rustix::thread::set_keep_capabilities(true)?;
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    // What it reads may be anybody's. Landlock says what that is.
    let reading = CapabilitySet::DAC_READ_SEARCH;
    rustix::thread::set_capabilities(
        None,
        CapabilitySets { effective: reading, permitted: reading, inheritable: reading },
    )?;
    Ok(rustix::thread::configure_capability_in_ambient_set(reading, true)?)
}

fn unshare(flags: UnshareFlags) -> io::Result<()> {
    #[expect(unsafe_code, reason = "it leaves namespaces, and no file descriptors or memory")]
    // SAFETY: no flag of ours parts file descriptors or what Rust relies on.
    let done = unsafe { rustix::thread::unshare_unsafe(flags) };
    Ok(done?)
}

fn keep_open(fd: i32) -> io::Result<()> {
    #[expect(unsafe_code, reason = "the number of a descriptor is all that a child has of it")]
    // SAFETY: the image is open in the parent until the child has ended, and so it is here.
    let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
    Ok(rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty())?)
}

fn restrict(ruleset: &OwnedFd) -> io::Result<()> {
    #[expect(unsafe_code, reason = "a system call that has no wrapper without allocation")]
    // SAFETY: it takes a descriptor and flags, of which there are none.
    let done = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn write_to(path: &std::ffi::CStr, text: &[u8]) -> io::Result<()> {
    use rustix::fs::{Mode, OFlags, open};
    let file = open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, text)?;
    Ok(())
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
