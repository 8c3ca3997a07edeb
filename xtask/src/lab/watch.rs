//! Waiting for the emulated host, with its output on ours.

use std::process::{Child, ExitStatus};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::run;

/// How it ended.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) status: ExitStatus,
    /// Whether it was ended because its time was over.
    pub(super) timed_out: bool,
    /// Standard output, then standard error.
    pub(super) output: String,
}

/// Waits until it ends, or ends it after `limit`.
pub(super) fn watch(
    mut child: Child,
    limit: Duration,
    prefix: &'static str,
) -> anyhow::Result<Watched> {
    let stdout = child.stdout.take();
    let stdout =
        stdout.map(|from| thread::spawn(move || run::copy(from, std::io::stdout(), prefix)));
    let stderr = child.stderr.take();
    let stderr =
        stderr.map(|from| thread::spawn(move || run::copy(from, std::io::stderr(), prefix)));
    let timed_out = !ended_within(&child, limit)?;
    if timed_out {
        child.kill().context("end the lab")?;
    }
    let status = child.wait().context("wait for the lab")?;
    let mut output = Vec::new();
    for thread in [stdout, stderr].into_iter().flatten() {
        output.extend(thread.join().expect("copying does not panic"));
    }
    Ok(Watched { status, timed_out, output: String::from_utf8_lossy(&output).into_owned() })
}

fn ended_within(child: &Child, limit: Duration) -> anyhow::Result<bool> {
    let process = pidfd_open(Pid::from_child(child), PidfdFlags::empty())
        .context("get a handle of the lab's process")?;
    let timeout = Timespec::try_from(limit).context("the lab's deadline is too far away")?;
    loop {
        match poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&timeout)) {
            Ok(ended) => return Ok(ended > 0),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("wait for the lab"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;
    use crate::run::Run;

    fn start(script: &str) -> Child {
        let mut command = Run::new("sh").args(["-c", script]).into_command();
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    #[test]
    fn what_ends_by_itself_keeps_its_code() {
        let watched = watch(start("echo out; exit 7"), Duration::from_secs(60), "").unwrap();
        assert_eq!((watched.status.code(), watched.timed_out), (Some(7), false));
        assert_eq!(watched.output, "out\n");
    }

    #[test]
    fn what_does_not_end_is_ended() {
        let watched = watch(start("echo out; exec cat /dev/zero >/dev/null"), Duration::ZERO, "");
        assert!(watched.unwrap().timed_out);
    }
}
