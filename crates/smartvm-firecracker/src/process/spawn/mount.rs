//! What a child mounts before it becomes its program.
#![expect(unsafe_code, reason = "rustix' calls may allocate, which the child must not")]

use std::ffi::{CStr, CString, c_ulong};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use rustix::io::Errno;

/// One file that is to appear at another place as well.
#[derive(Debug, Clone)]
pub(crate) struct Mount {
    source: CString,
    target: CString,
    read_only: bool,
}

impl Mount {
    /// Shows `source` at `target`, which must be a file, too.
    ///
    /// # Errors
    /// When one of them holds a zero byte.
    pub(crate) fn bind(source: &Path, target: &Path, read_only: bool) -> io::Result<Self> {
        let text = |path: &Path| CString::new(path.as_os_str().as_bytes());
        Ok(Self { source: text(source)?, target: text(target)?, read_only })
    }
}

/// Gives the calling process mounts of its own and adds these. The host never sees them, and they
/// go with the last process that does.
///
/// Runs in the child: system calls only.
pub(super) fn mount_all(mounts: &[Mount]) -> Result<(), Errno> {
    if mounts.is_empty() {
        return Ok(());
    }
    // SAFETY: the call takes a number only, and concerns this child alone.
    done(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
    // What is mounted here must not appear on the host.
    mount(None, c"/", libc::MS_REC | libc::MS_SLAVE)?;
    for Mount { source, target, read_only } in mounts {
        mount(Some(source), target, libc::MS_BIND)?;
        let harmless = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
        let access = if *read_only { libc::MS_RDONLY } else { 0 };
        mount(None, target, libc::MS_REMOUNT | libc::MS_BIND | harmless | access)?;
    }
    Ok(())
}

fn mount(source: Option<&CStr>, target: &CStr, flags: c_ulong) -> Result<(), Errno> {
    let source = source.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: both are strings that end with a zero byte or null, as are the two that are not
    // used; the kernel changes none of our memory.
    done(unsafe { libc::mount(source, target.as_ptr(), ptr::null(), flags, ptr::null()) })
}

fn done(result: i32) -> Result<(), Errno> {
    if result == 0 {
        return Ok(());
    }
    Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::INVAL))
}
