//! The end of the guest, in order and in time.

#![expect(unsafe_code, reason = "rustix sends no signal that has no name, and none to all")]

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, mount_remount};
use smartvm_protocol::shared::Role;

use super::agent::Agent;
use crate::failure;

/// How long programs have when nobody says.
const GRACE: Duration = Duration::from_secs(5);

/// How long is waited for what was killed.
const DEATH: Duration = Duration::from_secs(1);

/// What systemd takes as the wish to restart the machine: so many beyond the first signal without a name.
const SYSTEMD_REBOOT: i32 = 5;

/// The inode of the first namespace of processes, which Linux gives no other.
const FIRST_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// Ends the guest in a thread of its own, as whoever hears the wish reaps children as well.
pub(crate) fn begin(agent: &Arc<Agent>) {
    if !agent.begin_to_go_down() {
        return;
    }
    let shared = Arc::clone(agent);
    let run = move || perform(&shared, GRACE, None);
    if thread::Builder::new().name("shutdown".to_owned()).spawn(run).is_err() {
        failure::restart();
    }
}

/// Ends all programs and then the guest, once no more can be started: they have `grace` after `signal`, and all of it is over two seconds later.
pub(crate) fn perform(agent: &Agent, grace: Duration, signal: Option<u32>) {
    if agent.role() == Role::Init {
        let signal = signal.and_then(|number| i32::try_from(number).ok());
        signal_all(signal.unwrap_or(libc::SIGTERM));
        if !agent.children().wait_until_none(Instant::now() + grace) {
            signal_all(libc::SIGKILL);
            agent.children().wait_until_none(Instant::now() + DEATH);
        }
        make_read_only();
    } else {
        ask_init();
        // A service is ended by its init before that, and then nobody is left here.
        thread::park_timeout(grace);
    }
    failure::restart();
}

/// Every process but this one and process 1.
fn signal_all(signal: libc::c_int) {
    // SAFETY: it sends a signal and touches no memory.
    unsafe { libc::kill(-1, signal) };
}

/// The guest's own init ends it as it is used to.
fn ask_init() {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let mut name = [0; 16];
    let length = rustix::fs::open("/proc/1/comm", flags, Mode::empty())
        .and_then(|file| rustix::io::read(&file, &mut name));
    if name[..length.unwrap_or(0)].starts_with(b"systemd") {
        // SAFETY: it sends a signal and touches no memory.
        unsafe { libc::kill(1, libc::SIGRTMIN() + SYSTEMD_REBOOT) };
        return;
    }
    let mut reboot = Command::new("/sbin/reboot");
    // Nobody waits for it but the reaper.
    if let Err(error) = reboot.process_group(0).spawn() {
        failure::report(&format!("cannot run /sbin/reboot: {error}"));
    }
}

/// Leaves the root as an unmounted file system is left. In a container, where the file system is another's, nothing.
fn make_read_only() {
    rustix::fs::sync();
    let is_first = rustix::fs::stat("/proc/self/ns/pid")
        .is_ok_and(|namespace| namespace.st_ino == FIRST_PID_NAMESPACE);
    if is_first {
        // A file that somebody could not be made to close keeps it as it is.
        let _ = mount_remount("/", MountFlags::RDONLY, c"");
    }
}
