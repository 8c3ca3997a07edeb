//! Running one of them.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use thiserror::Error;

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
        match self {
            Self::Missing { program, .. } => *program == Tool::UNSHARE.program,
            Self::Failed { output, .. } => output.starts_with("unshare: "),
            Self::Start { .. } | Self::Talk { .. } => false,
        }
    }

    /// What the owner of the host can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { package, .. } => Some(format!("install it: apt-get install {package}")),
            Self::Failed { output, .. } if output.contains("No space left on device") => {
                Some("free space where the image is made, or choose another place".to_owned())
            }
            Self::Start { .. } | Self::Talk { .. } | Self::Failed { .. } => None,
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
/// nothing there changes what it makes, and its output is in English).
#[derive(Debug)]
pub(crate) struct ToolCall {
    tool: Tool,
    args: Vec<OsString>,
    accepted: &'static [i32],
    /// Whom it is to take itself for: user and group.
    seeming: Option<(u32, u32)>,
}

impl ToolCall {
    pub(crate) fn new(tool: Tool) -> Self {
        Self { tool, args: Vec::new(), accepted: &[0], seeming: None }
    }

    /// Lets it run in a user namespace in which we are this user and group. It has our rights there,
    /// and none over others.
    pub(crate) fn seeming_to_be(self, uid: u32, gid: u32) -> Self {
        Self { seeming: Some((uid, gid)), ..self }
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
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
        let mut command = match self.seeming {
            None => Command::new(path),
            Some((uid, gid)) => {
                let Tool { program, package } = Tool::UNSHARE;
                let missing = || HostToolError::Missing { program, package };
                let mut command = Command::new(tools.find(Tool::UNSHARE).ok_or_else(missing)?);
                command
                    .arg(format!("--map-user={uid}"))
                    .arg(format!("--map-group={gid}"))
                    .arg(path);
                command
            }
        };
        let mut child = command
            .args(&self.args)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| HostToolError::Start { argv: argv.clone(), source })?;
        let talked = talk(&mut child, feed);
        let waited = child.wait();
        let talk_error = |source| HostToolError::Talk { argv: argv.clone(), source };
        let (fed, stdout, stderr) = talked;
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
        let args = self.args.iter().map(|arg| arg.to_string_lossy());
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
    thread::scope(|scope| {
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
mod tests {
    use super::*;

    const SH: Tool = Tool { program: "sh", package: "dash" };

    fn script(text: &str) -> ToolCall {
        ToolCall::new(SH).args(["-c", text])
    }

    #[test]
    fn a_failure_tells_what_was_run_how_it_ended_and_what_it_said() {
        let failed = script("echo out; echo err >&2; exit 3").run(&HostTools::default());
        let error = failed.unwrap_err();
        let text = "`sh -c echo out; echo err >&2; exit 3` exited with code 3:\nout\nerr";
        assert_eq!(error.to_string(), text);
        let killed = script("kill -9 $$").run(&HostTools::default()).unwrap_err();
        assert_eq!(killed.to_string(), "`sh -c kill -9 $$` was ended by signal 9");
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error_that_names_its_package() {
        let nowhere = HostTools::only_in(Vec::new());
        let error = ToolCall::new(Tool::MKFS_EXT4).run(&nowhere).unwrap_err();
        assert_eq!(error.to_string(), "the program `mkfs.ext4` is not on this host");
        assert!(error.hint().unwrap().contains("apt-get install e2fsprogs"));
    }

    #[test]
    fn only_the_end_of_a_long_output_is_kept_and_all_of_it_is_read() {
        let answer = script("yes | head -c 1000000; echo end; yes | head -c 1000000 >&2")
            .run(&HostTools::default())
            .unwrap();
        assert_eq!(answer.stdout.len(), KEPT_OUTPUT);
        assert!(answer.stdout.ends_with("y\nend\n"));
        assert_eq!(answer.stderr.len(), KEPT_OUTPUT);
    }

    #[test]
    fn input_is_fed_and_other_exit_codes_can_be_accepted() {
        let answer = script("cat; exit 1")
            .accepting(&[0, 1])
            .run_fed(&HostTools::default(), |stdin| stdin.write_all(b"input"))
            .unwrap();
        assert_eq!((answer.stdout.as_str(), answer.status.code()), ("input", Some(1)));
    }

    #[test]
    fn a_program_that_stops_reading_is_asked_why_and_a_failing_input_ends_it() {
        let much = vec![0; 1 << 20];
        let failed = script("echo enough >&2; exit 2")
            .run_fed(&HostTools::default(), |stdin| stdin.write_all(&much));
        assert!(failed.unwrap_err().to_string().ends_with("exited with code 2:\nenough"));
        let failed = script("exec cat")
            .run_fed(&HostTools::default(), |_| Err(io::Error::other("bad input")));
        assert!(matches!(failed.unwrap_err(), HostToolError::Talk { .. }));
    }

    #[test]
    fn a_program_can_take_itself_for_another_user_or_it_is_told_that_it_cannot() {
        let tools = HostTools::default();
        match script("id -u; id -g").seeming_to_be(5, 6).run(&tools) {
            Ok(answer) => assert_eq!(answer.stdout, "5\n6\n"),
            // Some hosts let nobody do that.
            Err(error) => assert!(error.is_about_namespace(), "{error}"),
        }
        let failed = script("echo unshare: >&2; exit 3").run(&tools).unwrap_err();
        assert!(!failed.is_about_namespace());
    }

    #[test]
    fn nothing_of_our_environment_reaches_it() {
        let answer = script("env").run(&HostTools::default()).unwrap();
        assert!(!answer.stdout.contains("CARGO"), "{}", answer.stdout);
        assert!(answer.stdout.contains("LC_ALL=C"));
    }
}
