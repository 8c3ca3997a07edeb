//! `cargo xtask lab`: a whole host, emulated, in which KVM runs guests.
//!
//! A kernel of the distribution boots in QEMU, without using this machine's KVM, over this
//! machine's own root file system: same paths, same programs, read-only except for memory and
//! `target/lab`. Its emulated processor can virtualize, so what opens `/dev/kvm` in it gets a real
//! KVM. One lab runs at a time in a checkout.

pub(crate) mod inside;
mod machine;
mod request;
mod watch;

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::fs::FlockOperation;
use rustix::io::Errno;

use self::machine::Machine;
use self::request::Request;
use crate::{environment, run, say, workspace};

/// How much of the lab's console an error shows.
const CONSOLE_LINES: usize = 30;

/// Run a command in an emulated host where KVM runs guests
///
/// Standard output, standard error and the exit code are the command's. It finds the same files as
/// here; what it writes goes to memory, except below target/lab/results, which it finds in
/// SMARTVM_LAB_RESULTS.
#[derive(Debug, clap::Args)]
pub(crate) struct LabArgs {
    /// A shell in the lab instead of a command
    #[arg(long, conflicts_with = "command")]
    shell: bool,
    #[command(flatten)]
    pub(crate) size: LabSize,
    /// The command and its arguments
    #[arg(last = true, required_unless_present = "shell")]
    command: Vec<OsString>,
}

/// What the emulated host is made of, and how long it may run.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct LabSize {
    /// Its memory
    #[arg(long, default_value = "4G")]
    pub(crate) memory: String,
    /// Its processors
    #[arg(long, default_value_t = 2)]
    pub(crate) cpus: u32,
    /// Minutes after which it is ended
    #[arg(long, value_name = "MINUTES", default_value_t = 20)]
    pub(crate) deadline: u64,
}

impl Default for LabSize {
    fn default() -> Self {
        Self { memory: "4G".to_owned(), cpus: 2, deadline: 20 }
    }
}

/// How a command in the lab went.
#[derive(Debug)]
pub(crate) struct LabRun {
    /// The command's own exit code; 128 and the signal's number when a signal ended it.
    pub(crate) code: u8,
    /// From start to the command.
    pub(crate) boot: Duration,
    /// What it wrote on standard output, then on standard error.
    pub(crate) output: String,
}

/// Runs what was asked for on the command line.
pub(crate) fn lab(args: &LabArgs) -> anyhow::Result<ExitCode> {
    if args.shell {
        return shell(&args.size);
    }
    let ran = command(&args.command, &[], &[], &args.size, "")?;
    Ok(ExitCode::from(ran.code))
}

/// Runs a command in a fresh lab, with its output on ours as it comes, or, if it has to share ours, line by
/// line behind a `prefix`.
///
/// The lab reads this machine's files through its emulated processor, and keeps nothing of them. Those
/// of `in_memory` it reads once; the command finds copies in their places.
///
/// # Errors
/// The lab did not come up, or ended before the command did. A command that fails is no error.
pub(crate) fn command(
    argv: &[OsString],
    variables: &[(&str, OsString)],
    in_memory: &[PathBuf],
    size: &LabSize,
    prefix: &'static str,
) -> anyhow::Result<LabRun> {
    let machine = Machine::prepare(size)?;
    let _lock = lock()?;
    let run_dir = RunDir::create()?;
    let mut env = environment::for_the_lab();
    for (name, value) in variables {
        env.retain(|(known, _)| known != name);
        env.push(((*name).to_owned(), value.to_string_lossy().into_owned()));
    }
    env.push(("SMARTVM_LAB_RESULTS".to_owned(), results_dir()?.display().to_string()));
    let directory = std::env::current_dir().context("find the current directory")?;
    let argv = argv.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let in_memory = in_memory.to_vec();
    Request { argv, env, directory, in_memory }.write(&run_dir.path)?;

    let began = Instant::now();
    let mut command = machine.command(&run_dir.path, true)?;
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("start the lab")?;
    let limit = Duration::from_secs(size.deadline * 60);
    let watched = watch::watch(child, limit, prefix)?;

    let Some(outcome) = request::read_outcome(&run_dir.path) else {
        let console = run_dir.console();
        let how = if watched.timed_out {
            format!("was ended, for it had run {} min", size.deadline)
        } else {
            format!("ended before the command did ({})", run::ended(watched.status))
        };
        bail!("the lab {how}; the last lines of its console:\n{console}");
    };
    let total = began.elapsed();
    let boot = total.saturating_sub(Duration::from_millis(outcome.ran_ms)).min(total);
    Ok(LabRun { code: outcome.code, boot, output: watched.output })
}

/// Gives a person a shell in a fresh lab.
fn shell(size: &LabSize) -> anyhow::Result<ExitCode> {
    let machine = Machine::prepare(size)?;
    let _lock = lock()?;
    let run_dir = RunDir::create()?;
    results_dir()?;
    let module = "`modprobe kvm_amd tun` gives it KVM and TAP devices; `exit` ends it";
    say::step(format!("starts a shell in the lab: {module}"));
    let mut command = machine.command(&run_dir.path, false)?;
    let status = command.stdin(Stdio::inherit()).status().context("start the lab")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Holds the lab of this checkout until the file is dropped.
fn lock() -> anyhow::Result<File> {
    fs_err::create_dir_all(workspace::lab_dir())?;
    let file = fs_err::File::create(workspace::lab_dir().join("lock"))?.into_parts().0;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => {
            say::step("waits for another lab of this checkout to end");
            rustix::fs::flock(&file, FlockOperation::LockExclusive)
        }
        other => other,
    }
    .context("lock target/lab")?;
    Ok(file)
}

/// What commands in the lab leave for people and for us.
pub(crate) fn results_dir() -> anyhow::Result<PathBuf> {
    let dir = workspace::lab_dir().join("results");
    fs_err::create_dir_all(&dir)?;
    Ok(dir)
}

/// The files of one run, gone when it is over.
struct RunDir {
    path: PathBuf,
}

impl RunDir {
    fn create() -> anyhow::Result<Self> {
        let path = workspace::lab_dir().join("run");
        // The lock is ours, so what is there was left by a run that was killed.
        if path.exists() {
            fs_err::remove_dir_all(&path)?;
        }
        fs_err::create_dir_all(path.join("tmp"))?;
        Ok(Self { path })
    }

    fn console(&self) -> String {
        let mut bytes = Vec::new();
        let read = fs_err::File::open(self.path.join(machine::CONSOLE))
            .and_then(|mut file| file.read_to_end(&mut bytes));
        match read {
            Ok(_) => run::last_lines(&String::from_utf8_lossy(&bytes), CONSOLE_LINES),
            Err(error) => error.to_string(),
        }
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        // What remains is removed by the next run.
        let _ = fs_err::remove_dir_all(&self.path);
    }
}
