//! What is expected of the way a process is started.
#![expect(unsafe_code, reason = "a standard stream of this program can be closed no other way")]

use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use rustix::io::{Errno, FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout, stderr, stdin, stdout};
use smartvm_firecracker::{FirecrackerBinary, FirecrackerProcess, LaunchError, LaunchSpec};

use crate::cases::{Case, block_on, cases, fake, spec, this_program};

cases![
    the_program_inherits_nothing,
    the_program_is_bound_to_this_one_only_when_asked,
    a_program_that_cannot_be_started_is_told_and_leaves_nothing,
    standard_streams_that_this_program_closed_are_no_obstacle,
    the_memory_of_this_program_is_not_copied,
];

async fn the_program_inherits_nothing() {
    let open = fs_err::File::open("/dev/null").unwrap();
    fcntl_setfd(&open, FdFlags::empty()).unwrap();
    let fake = fake("tells-its-environment").await;
    let output = fake.process.exited().await.output;
    assert!(output.starts_with("0 variables, 3 descriptors\nown group: true"), "{output}");
}

async fn the_program_is_bound_to_this_one_only_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    for (die_with_parent, signal) in [(true, "Some(9)"), (false, "None")] {
        let spec = LaunchSpec { die_with_parent, ..spec(dir.path(), "tells-its-environment") };
        let process = FirecrackerProcess::launch(&this_program(), spec).await.unwrap();
        let output = process.exited().await.output;
        assert!(output.ends_with(&format!("death signal: {signal}\n")), "{output}");
    }
}

async fn a_program_that_cannot_be_started_is_told_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("program");
    let header = fs_err::read("/bin/true").unwrap()[..64].to_vec();
    fs_err::write(&path, header).unwrap();
    fs_err::set_permissions(&path, PermissionsExt::from_mode(0o700)).unwrap();
    let binary = FirecrackerBinary::open(&path).unwrap();

    assert_eq!(start_error(&binary).await, Errno::NOEXEC, "only the header is there");
    fs_err::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    assert_eq!(start_error(&binary).await, Errno::ACCESS);
    fs_err::remove_file(&path).unwrap();
    assert_eq!(start_error(&binary).await, Errno::NOENT);
}

/// What the kernel said, when no child is left, be it as a zombie.
async fn start_error(binary: &FirecrackerBinary) -> Errno {
    let dir = tempfile::tempdir().unwrap();
    let error = FirecrackerProcess::launch(binary, spec(dir.path(), "vm")).await.unwrap_err();
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    assert_eq!(waitid(WaitId::All, options).unwrap_err(), Errno::CHILD);
    let LaunchError::Spawn { source, .. } = error else { panic!("{error:?}") };
    Errno::from_io_error(&source).unwrap()
}

async fn standard_streams_that_this_program_closed_are_no_obstacle() {
    // What the library keeps for ever must not take their places.
    drop(fake("waits").await);
    let kept = [stdin(), stdout(), stderr()].map(|fd| fcntl_dupfd_cloexec(fd, 3).unwrap());
    for fd in 0..=2 {
        // SAFETY: nothing uses the standard streams until they are put back below.
        drop(unsafe { OwnedFd::from_raw_fd(fd) });
    }
    let fake = fake("echoes").await;
    let console = fake.process.console();
    let mut reader = console.reader();
    let written = console.write(b"x").await;
    let read = reader.next().await;
    drop((fake, console, reader));
    let [stdin, stdout, stderr] = kept;
    dup2_stdin(stdin).unwrap();
    dup2_stdout(stdout).unwrap();
    dup2_stderr(stderr).unwrap();
    written.unwrap();
    assert_eq!(read.unwrap().bytes, b"x");
}

async fn the_memory_of_this_program_is_not_copied() {
    const PAGE: usize = 4096;
    let before = timed_launch().await;
    let mut memory = vec![1_u8; 256 * 1024 * 1024];
    let with_memory = timed_launch().await;
    println!("launch: {before:?}, holding 256 MiB: {with_memory:?}");

    // A copied page table makes the first write to each page fault.
    let touch = |memory: &mut [u8]| memory.iter_mut().step_by(PAGE).for_each(|byte| *byte += 1);
    touch(&mut memory);
    let fake = fake("waits").await;
    let faults = minor_faults();
    touch(&mut memory);
    let faults = minor_faults() - faults;
    drop(fake);
    assert!(faults < 64, "{faults} faults");
}

async fn timed_launch() -> std::time::Duration {
    let mut times = Vec::new();
    for _ in 0..15 {
        let started = Instant::now();
        let fake = fake("waits").await;
        times.push(started.elapsed());
        drop(fake);
    }
    times.sort_unstable();
    times[times.len() / 2]
}

/// How often this thread had to be given a page that was in memory.
fn minor_faults() -> u64 {
    let stat = fs_err::read_to_string("/proc/thread-self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    fields.split_whitespace().nth(7).unwrap().parse().unwrap()
}
