//! Running one of them.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use rustix::io::retry_on_intr;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use thiserror::Error;

use super::confine::{Image, Reach, confine, user_of_a_call};
use super::find::{HostTools, Tool};

/// How much of a program's output is kept: its end, where the reason is.
const KEPT_OUTPUT: usize = 8 << 10;
/// What a message shows of it.
const SHOWN_LINES: usize = 12;

/// The reason why a program of the host did not do its work.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HostToolError {
    /// It is not installed.
    #[error("the program `{program}` is not on this host")]
    Missing {
        /// Its name.
        program: &'static str,
        /// The Debian package that brings it.
        package: &'static str,
    },
    /// It could not be started.
    #[error("failed to start `{argv}`")]
    Start {
        /// What was run.
        argv: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It could not be started in a user namespace.
    #[error("failed to start `{argv}` in a user namespace")]
    Namespace {
        /// What was run.
        argv: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It could not be given its input, or be waited for.
    #[error("failed to talk to `{argv}`")]
    Talk {
        /// What was run.
        argv: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It said that it failed.
    #[error("`{argv}` {}{}", ended(*status), indented(output))]
    Failed {
        /// What was run.
        argv: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it printed, standard output before standard error.
        output: String,
    },
}

impl HostToolError {
    /// Whether it is not the program that failed, but the namespace that it was to run in.
    pub(crate) fn is_about_namespace(&self) -> bool {
        matches!(self, Self::Namespace { .. })
    }

    /// What the owner of the host can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { package, .. } => Some(format!("install it: apt-get install {package}")),
            Self::Failed { output, .. } if output.contains("No space left on device") => {
                Some("free space where the image is made, or choose another place".to_owned())
            }
            _ => None,
        }
    }
}

/// What a program said that did its work.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    argv: String,
}

impl Answer {
    /// A failure after all, for a program whose exit code does not tell.
    pub(crate) fn into_failure(self) -> HostToolError {
        let output = last_lines(&format!("{}{}", self.stdout, self.stderr));
        HostToolError::Failed { argv: self.argv, status: self.status, output }
    }
}

/// A program to be run: by its path, with these arguments, in an environment of its own (so that
/// nothing there changes what it makes, and its output is in English), confined to what the call names
/// (see [`confine`]).
#[derive(Debug)]
pub(crate) struct ToolCall {
    tool: Tool,
    args: Vec<Arg>,
    image: Option<PathBuf>,
    reads: Vec<PathBuf>,
    accepted: &'static [i32],
    /// Whom it is to take itself for: user and group.
    seeming: Option<(u32, u32)>,
}

#[derive(Debug)]
enum Arg {
    Word(OsString),
    /// The image, however the program is told of it.
    Image,
}

impl ToolCall {
    pub(crate) fn new(tool: Tool) -> Self {
        Self {
            tool,
            args: Vec::new(),
            image: None,
            reads: Vec::new(),
            accepted: &[0],
            seeming: None,
        }
    }

    /// Lets it run in a user namespace in which we are this user and group. It has our rights there,
    /// and none over others.
    pub(crate) fn seeming_to_be(self, uid: u32, gid: u32) -> Self {
        Self { seeming: Some((uid, gid)), ..self }
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(Arg::Word(arg.as_ref().to_owned()));
        self
    }

    /// The image that it reads and writes, which exists: the only file that it can write to.
    pub(crate) fn image(mut self, image: &Path) -> Self {
        self.args.push(Arg::Image);
        self.image = Some(image.to_owned());
        self
    }

    /// A file or directory that it reads.
    pub(crate) fn input(self, path: &Path) -> Self {
        self.arg(path).reading(path)
    }

    /// Lets it read a file or directory that its input names.
    pub(crate) fn reading(mut self, path: &Path) -> Self {
        self.reads.push(path.to_owned());
        self
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| Arg::Word(arg.as_ref().to_owned())));
        self
    }

    /// The exit codes that mean success, in place of 0 alone.
    pub(crate) fn accepting(mut self, codes: &'static [i32]) -> Self {
        self.accepted = codes;
        self
    }

    /// Runs it without any input and waits for its end.
    pub(crate) fn run(self, tools: &HostTools) -> Result<Answer, HostToolError> {
        self.run_fed(tools, |_| Ok(()))
    }

    /// Runs it with what `feed` writes as its input and waits for its end.
    ///
    /// When it ends without having read everything, its own reason is reported; what `feed` fails
    /// with is otherwise.
    pub(crate) fn run_fed(
        self,
        tools: &HostTools,
        feed: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<Answer, HostToolError> {
        let Tool { program, package } = self.tool;
        let Some(path) = tools.find(self.tool) else {
            return Err(HostToolError::Missing { program, package });
        };
        let argv = self.argv();
        let start_error = |source| HostToolError::Start { argv: argv.clone(), source };
        let user = user_of_a_call();
        let image = self.image.clone().map(|image| Image::hand_over(image, user));
        let image = image.transpose().map_err(start_error)?;
        let handed = image.as_ref().map(Image::argument).unwrap_or_default();
        let mut command = Command::new(&path);
        command
            .args(self.args.iter().map(|arg| match arg {
                Arg::Word(word) => word,
                Arg::Image => OsStr::new(&handed),
            }))
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let programs = path.parent().map(Path::to_owned).into_iter().collect();
        let reach =
            Reach { reads: self.reads.clone(), programs, image, seeming: self.seeming, user };
        confine(&mut command, &reach).map_err(start_error)?;
        let mut child = command.spawn().map_err(|source| match self.seeming {
            Some(_) => HostToolError::Namespace { argv: argv.clone(), source },
            None => start_error(source),
        })?;
        let talked = talk(&mut child, feed);
        let waited = child.wait();
        let talk_error = |source| HostToolError::Talk { argv: argv.clone(), source };
        let (fed, stdout, stderr) = talked;
        let named = |said: String| match &self.image {
            Some(image) => said.replace(&handed, &image.to_string_lossy()),
            None => said,
        };
        let (stdout, stderr) = (named(stdout), named(stderr));
        let status = waited.map_err(talk_error)?;
        let answer = Answer { status, stdout, stderr, argv: argv.clone() };
        match (status.code(), fed) {
            (Some(code), Ok(())) if self.accepted.contains(&code) => Ok(answer),
            // It went away in the middle: why is in what it said.
            (_, Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => Err(talk_error(error)),
            _ => Err(answer.into_failure()),
        }
    }

    fn argv(&self) -> String {
        let image = self.image.as_deref().unwrap_or_else(|| Path::new(""));
        let args = self.args.iter().map(|arg| match arg {
            Arg::Word(word) => word.to_string_lossy(),
            Arg::Image => image.to_string_lossy(),
        });
        std::iter::once(self.tool.program.into()).chain(args).collect::<Vec<_>>().join(" ")
    }
}

/// Feeds the child while both its outputs are emptied, so that nobody waits for ever.
fn talk(
    child: &mut Child,
    feed: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> (io::Result<()>, String, String) {
    let stdin = child.stdin.take();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let process = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    thread::scope(|scope| {
        // What it has started may have its outputs open, and would keep us for as long as it likes.
        scope.spawn(move || {
            let Some(process) = process else { return };
            let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            if retry_on_intr(|| waitid(WaitId::Pid(process), ended)).is_ok() {
                let _ = kill_process_group(process, Signal::KILL);
            }
        });
        let stdout = scope.spawn(|| stdout.map(read_end).unwrap_or_default());
        let stderr = scope.spawn(|| stderr.map(read_end).unwrap_or_default());
        let mut stdin = stdin;
        let fed = stdin.as_mut().map_or(Ok(()), |stdin| feed(stdin));
        if fed.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::BrokenPipe) {
            // Before its input ends, or what it has would look whole to it.
            let _ = child.kill();
        }
        drop(stdin);
        (fed, stdout.join().unwrap_or_default(), stderr.join().unwrap_or_default())
    })
}

/// Reads to the end and keeps the last part.
fn read_end(mut from: impl Read) -> String {
    let mut kept = Vec::new();
    let mut buffer = vec![0; 16 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                kept.extend_from_slice(&buffer[..count]);
                let surplus = kept.len().saturating_sub(KEPT_OUTPUT);
                kept.drain(..surplus);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}

fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}

fn indented(output: &str) -> String {
    if output.is_empty() { String::new() } else { format!(":\n{output}") }
}

fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

#[cfg(test)]
mod tests;
