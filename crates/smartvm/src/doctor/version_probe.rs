//! Asking a program for its version.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};
use smartvm_firecracker::FirecrackerVersion;

/// Both programs take some milliseconds.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);

/// As much as is read: the version is in the first line.
const OUTPUT_LIMIT: usize = 1024;

/// The program did not tell its version.
#[derive(Debug, thiserror::Error)]
pub(super) enum VersionProbeError {
    #[error("cannot be run")]
    Run(#[source] io::Error),
    #[error("does not answer `--version` within {0:?}")]
    TimedOut(Duration),
    #[error("is not {name}: asked for its version, it prints `{output}`")]
    Other { name: &'static str, output: String },
}

/// Runs `program --version` without input and environment, and reads `NAME vX.Y.Z` of its output.
///
/// The program and what it started are gone on return.
pub(super) fn probe(
    program: &Path,
    name: &'static str,
    deadline: Duration,
) -> Result<FirecrackerVersion, VersionProbeError> {
    let mut command = Command::new(program);
    command.arg("--version").env_clear().process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(VersionProbeError::Run)?;
    let stdout = child.stdout.take().expect("standard output was asked to be a pipe");
    let output = read_until(stdout, Instant::now() + deadline);
    end(&mut child);
    let output = output.map_err(VersionProbeError::Run)?;
    let output = output.ok_or(VersionProbeError::TimedOut(deadline))?;
    parse(&output, name).ok_or_else(|| VersionProbeError::Other {
        name,
        output: output.lines().next().unwrap_or_default().chars().take(80).collect(),
    })
}

fn parse(output: &str, name: &str) -> Option<FirecrackerVersion> {
    let version = output.lines().next()?.strip_prefix(name)?.strip_prefix(" v")?;
    version.trim_end().parse().ok()
}

/// What comes until the end of the output; nothing if that is not before `deadline`.
fn read_until(mut stdout: ChildStdout, deadline: Instant) -> io::Result<Option<String>> {
    let mut output = Vec::new();
    let mut buffer = [0; OUTPUT_LIMIT];
    while output.len() < OUTPUT_LIMIT {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).expect("a deadline of seconds fits");
        let mut fds = [PollFd::new(&stdout, PollFlags::IN)];
        match rustix::io::retry_on_intr(|| poll(&mut fds, Some(&left)))? {
            0 => return Ok(None),
            _ => match stdout.read(&mut buffer)? {
                0 => break,
                length => output.extend_from_slice(&buffer[..length]),
            },
        }
    }
    Ok(Some(String::from_utf8_lossy(&output).into_owned()))
}

/// Kills what the program may have left running, and reaps the program.
fn end(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // It has most likely ended by itself, as has its group.
        let _ = kill_process_group(group, Signal::KILL);
    }
    // Nothing can be done about a child that cannot be waited for.
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// What probing a shell script gives.
    fn probe_script(body: &str, deadline: Duration) -> Result<FirecrackerVersion, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("firecracker");
        fs_err::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs_err::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        probe(&path, "Firecracker", deadline).map_err(|error| error.to_string())
    }

    #[test]
    fn the_first_line_tells_the_version() {
        let version = probe_script("echo Firecracker v1.12.1; echo; echo more", DEADLINE);
        assert_eq!(version.unwrap().to_string(), "1.12.1");
    }

    #[test]
    fn another_program_is_quoted() {
        let error = probe_script("echo Jailer v1.12.1", DEADLINE).unwrap_err();
        assert!(error.contains("`Jailer v1.12.1`"), "{error}");
    }

    #[test]
    fn a_program_that_says_nothing_is_cut_off_with_its_children() {
        let error = probe_script("cat /dev/zero | wc -c", Duration::from_millis(50)).unwrap_err();
        assert!(error.contains("within 50ms"), "{error}");
    }

    #[test]
    fn endless_output_is_not_read_to_its_end() {
        let error = probe_script("while :; do echo Firecracker; done", DEADLINE).unwrap_err();
        assert!(error.contains("`Firecracker`"), "{error}");
    }

    #[test]
    fn a_missing_program_cannot_be_run() {
        let result = probe(Path::new("/nonexistent/firecracker"), "Firecracker", DEADLINE);
        assert!(matches!(result, Err(VersionProbeError::Run(_))));
    }
}
