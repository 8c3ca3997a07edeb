//! What the demo says to the guest, and what it must hear.

use std::time::{Duration, Instant};

use anyhow::bail;

use super::steps::Steps;
use super::terminal::Terminal;
use crate::fixtures::rootfs::PROMPT;

/// The key before a key for `smartvm` itself: Ctrl-].
const ESCAPE: u8 = 0x1d;
/// How long a boot may take, in the lab on a busy machine.
const BOOT: Duration = Duration::from_secs(180);
/// How long anything else may take there.
const ANSWER: Duration = Duration::from_secs(30);
/// How long a paused guest is listened to. A running one answers in less, even in the lab.
const SILENCE: Duration = Duration::from_secs(3);

/// A guest with a shell on its console, and `smartvm run` around it.
#[derive(Debug)]
pub(super) struct Conversation {
    terminal: Terminal,
    kernel: String,
    began: Instant,
    asked: u32,
}

/// A question whose answer cannot be an echo: the shell has to compute it.
struct Question {
    line: String,
    answer: String,
}

impl Conversation {
    /// `kernel` is the version that the guest must say it has.
    pub(super) fn new(terminal: Terminal, kernel: String) -> Self {
        Self { terminal, kernel, began: Instant::now(), asked: 0 }
    }

    /// Returns how long it took from the start of the command.
    pub(super) fn wait_for_first_byte(&mut self) -> anyhow::Result<Duration> {
        self.terminal.wait("the guest to say anything", BOOT, |said| !said.console.is_empty())?;
        Ok(self.began.elapsed())
    }

    /// Waits for the shell and asks it something. Returns how long that took from the start.
    pub(super) fn wait_for_answer(&mut self) -> anyhow::Result<Duration> {
        self.terminal.wait("the guest's shell", BOOT, |said| said.console.contains(PROMPT))?;
        let question = self.next_question();
        self.ask(&question)?;
        self.hear(&question)?;
        Ok(self.began.elapsed())
    }

    pub(super) fn pause(&mut self, steps: &mut Steps) -> anyhow::Result<()> {
        let what = "smartvm to say that it paused";
        steps.time("pause", || self.press(b'p', what, "smartvm: paused"))
    }

    /// Asks a paused guest something, which must stay without an answer until it is resumed.
    pub(super) fn expect_silence(&mut self) -> anyhow::Result<()> {
        let question = self.next_question();
        self.ask(&question)?;
        if self.terminal.heard_within(SILENCE, |said| said.console.contains(&question.answer))? {
            bail!("the guest answered while it was paused");
        }
        Ok(())
    }

    /// Resumes it; the answer to what it was asked while paused must come now.
    pub(super) fn resume(&mut self, steps: &mut Steps) -> anyhow::Result<()> {
        let what = "smartvm to say that it resumed";
        steps.time("resume", || self.press(b'p', what, "smartvm: resumed"))?;
        let question = self.question(self.asked);
        steps.time("the guest answered again", || self.hear(&question))
    }

    /// Stops it; the command must end well.
    pub(super) fn stop(mut self, steps: &mut Steps) -> anyhow::Result<()> {
        steps.time("stop", || {
            self.terminal.write(&[ESCAPE, b'q'])?;
            self.terminal.wait_for_success(ANSWER)
        })
    }

    fn press(&mut self, key: u8, what: &str, status: &str) -> anyhow::Result<()> {
        let already = self.terminal.said().status.len();
        self.terminal.write(&[ESCAPE, key])?;
        self.terminal.wait(what, ANSWER, |said| said.status[already..].contains(status))
    }

    fn next_question(&mut self) -> Question {
        self.asked += 1;
        self.question(self.asked)
    }

    fn question(&self, number: u32) -> Question {
        // Different in every run, so that no text from an earlier one can be taken for it.
        let nonce = std::process::id() + 1000 * number;
        Question {
            line: format!("echo \"$((6*7*{nonce})) on $(uname -r)\"\n"),
            answer: format!("{} on {}", 42 * u64::from(nonce), self.kernel),
        }
    }

    fn ask(&mut self, question: &Question) -> anyhow::Result<()> {
        self.terminal.write(question.line.as_bytes())
    }

    fn hear(&mut self, question: &Question) -> anyhow::Result<()> {
        let what = format!("the guest to answer `{}`", question.answer);
        self.terminal.wait(&what, ANSWER, |said| said.console.contains(&question.answer))
    }
}
