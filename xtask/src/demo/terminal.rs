//! A program on a pseudo-terminal: seen as it comes, written to as if typed.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, ChildStderr, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::run::{self, Run};

/// How much of the console an error shows.
const SHOWN_LINES: usize = 30;

/// A program on a terminal of 80 columns, with its standard error apart. Dropping it kills the
/// program.
#[derive(Debug)]
pub(super) struct Terminal {
    child: Child,
    console: Option<File>,
    status: Option<ChildStderr>,
    said: Said,
}

/// What the program said so far.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// On the terminal.
    pub(super) console: String,
    /// On standard error.
    pub(super) status: String,
}

/// A program to start on a terminal, which becomes its controlling one: as a shell's foreground
/// job has it. Were we killed, the program would be told to end.
pub(super) fn program(program: impl AsRef<OsStr>) -> Run {
    Run::new("setpriv").args(["--pdeathsig", "TERM", "--", "setsid", "--ctty"]).arg(program)
}

impl Terminal {
    /// Starts what [`program`] made.
    pub(super) fn start(program: Run) -> anyhow::Result<Self> {
        let (master, slave) = open().context("make a pseudo-terminal")?;
        let mut child = program
            .into_command()
            .stdin(slave.try_clone().context("duplicate the terminal")?)
            .stdout(slave)
            .stderr(Stdio::piped())
            .spawn()
            .context("start a program on a pseudo-terminal")?;
        let status = child.stderr.take();
        Ok(Self { child, console: Some(master.into()), status, said: Said::default() })
    }

    pub(super) fn said(&self) -> &Said {
        &self.said
    }

    /// Types.
    pub(super) fn write(&mut self, keys: &[u8]) -> anyhow::Result<()> {
        let console = self.console.as_mut().context("type on a terminal that is closed")?;
        console.write_all(keys).context("type on the terminal")
    }

    /// Shows what comes until `enough`.
    ///
    /// # Errors
    /// The time is over, or the program ended before; with the last lines of what it said.
    pub(super) fn wait(
        &mut self,
        what: &str,
        limit: Duration,
        enough: impl Fn(&Said) -> bool,
    ) -> anyhow::Result<()> {
        if self.heard_within(limit, enough)? {
            return Ok(());
        }
        let why = match self.child.try_wait().context("look whether the program ended")? {
            Some(status) => format!("it {}", run::ended(status)),
            None => format!("{} seconds were not enough", limit.as_secs()),
        };
        bail!("waited for {what} in vain: {why}\n{}", self.tail())
    }

    /// Shows what comes until `enough`, the end of the program or the end of the time, and says
    /// whether it was enough.
    pub(super) fn heard_within(
        &mut self,
        limit: Duration,
        enough: impl Fn(&Said) -> bool,
    ) -> anyhow::Result<bool> {
        let deadline = Instant::now() + limit;
        loop {
            if enough(&self.said) {
                return Ok(true);
            }
            if !self.listen(deadline)? {
                return Ok(false);
            }
        }
    }

    /// Shows what comes until the program ends, which it must do with exit code 0.
    pub(super) fn wait_for_success(&mut self, limit: Duration) -> anyhow::Result<()> {
        self.heard_within(limit, |_| false)?;
        if self.console.is_some() || self.status.is_some() {
            bail!("the command had not ended after {} seconds\n{}", limit.as_secs(), self.tail());
        }
        // It closed all its outputs, so its end is a matter of moments.
        let status = self.child.wait().context("wait for the program")?;
        if !status.success() {
            bail!("the command {}\n{}", run::ended(status), self.tail());
        }
        Ok(())
    }

    /// Takes what comes next. False when nothing will come, or nothing came until the deadline.
    fn listen(&mut self, deadline: Instant) -> anyhow::Result<bool> {
        let remaining = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(remaining).context("the deadline is too far away")?;
        let sources =
            [self.console.as_ref().map(AsFd::as_fd), self.status.as_ref().map(AsFd::as_fd)];
        let mut polled: Vec<_> = sources
            .iter()
            .flatten()
            .map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
            .collect();
        if polled.is_empty() {
            return Ok(false);
        }
        match poll(&mut polled, Some(&timeout)) {
            Ok(0) => return Ok(false),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("wait for the terminal"),
        }
        let mut ready = polled.iter().map(|fd| !fd.revents().is_empty());
        let console_ready = sources[0].is_some() && ready.next().unwrap_or(false);
        let status_ready = sources[1].is_some() && ready.next().unwrap_or(false);
        if console_ready {
            take(&mut self.console, &mut self.said.console, std::io::stdout());
        }
        if status_ready {
            take(&mut self.status, &mut self.said.status, std::io::stderr());
        }
        Ok(true)
    }

    fn tail(&self) -> String {
        format!(
            "the end of its console:\n{}\nits status lines:\n{}",
            run::last_lines(&self.said.console, SHOWN_LINES),
            run::last_lines(&self.said.status, SHOWN_LINES),
        )
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Both do nothing to one that has ended and was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn open() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    tcsetwinsize(&master, Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 })?;
    let slave = ioctl_tiocgptpeer(&master, flags)?;
    Ok((master, slave))
}

/// Reads once, shows it and keeps it; at the end, closes the source. A terminal whose other side
/// is closed fails to be read, which is its end.
fn take(source: &mut Option<impl Read>, kept: &mut String, mut shown: impl Write) {
    let mut buffer = [0; 4096];
    match source.as_mut().map(|source| source.read(&mut buffer)) {
        Some(Ok(count @ 1..)) => {
            kept.push_str(&String::from_utf8_lossy(&buffer[..count]));
            let _ = shown.write_all(&buffer[..count]).and_then(|()| shown.flush());
        }
        _ => *source = None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    fn sh(script: &str) -> Terminal {
        Terminal::start(program("sh").args(["-c", script])).expect("sh starts")
    }

    #[test]
    fn what_is_typed_is_read_and_both_outputs_are_kept_apart() {
        let mut terminal = sh("tty >/dev/tty && read line && echo got $line && echo done >&2");
        terminal.write(b"abc\n").unwrap();
        terminal.wait("the answer", LIMIT, |said| said.console.contains("got abc")).unwrap();
        terminal.wait_for_success(LIMIT).unwrap();
        assert_eq!(terminal.said().status, "done\n");
    }

    #[test]
    fn waiting_in_vain_tells_why_and_what_was_said() {
        let error = sh("echo last words; exit 3").wait("more", LIMIT, |_| false).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("waited for more in vain"), "{error}");
        assert!(error.contains("last words"), "{error}");
    }

    #[test]
    fn failure_is_not_success() {
        let error = sh("exit 3").wait_for_success(LIMIT).unwrap_err().to_string();
        assert!(error.starts_with("the command exited with code 3"), "{error}");
    }

    #[test]
    fn what_does_not_end_is_no_success() {
        let error = sh("exec cat").wait_for_success(Duration::ZERO).unwrap_err().to_string();
        assert!(error.starts_with("the command had not ended"), "{error}");
    }
}
