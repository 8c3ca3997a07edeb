//! From a request to a running process.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::{Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use smartvm_protocol::host::StartExec;
use smartvm_protocol::shared::Stream;
use smartvm_protocol::{Lost, Refusal, RefusalCode};

use super::identity::Identity;
use super::input::Input;
use super::launch::{Launch, Stage};
use super::output::Output;
use super::program::{self, c_string};
use super::terminal;
use crate::serve::agent::Agent;
use crate::serve::cgroup::Group;
use crate::serve::children::Child;
use crate::serve::refused::{failed, refused, shown};

/// A process that is becoming the program.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) child: Arc<Child>,
    pub(crate) group: Option<Group>,
    /// Says what went wrong, or closes.
    pub(crate) report: OwnedFd,
    pub(crate) input: Input,
    pub(crate) outputs: Vec<Output>,
    /// Our end of the terminal, to give it another size.
    pub(crate) terminal: Option<OwnedFd>,
}

/// Our ends of what a program reads and writes, and its own.
struct Ends {
    input: Input,
    outputs: Vec<Output>,
    terminal: Option<OwnedFd>,
    theirs: [OwnedFd; 3],
}

/// Starts the process.
pub(crate) fn start(agent: &Agent, exec: u64, request: &StartExec) -> Result<Running, Refusal> {
    let Some(name) = request.argv.first() else {
        return Err(refused(RefusalCode::Protocol, "run a program: no arguments were given"));
    };
    let identity = Identity::find(request.user.as_deref(), &request.groups)?;
    let env = environment(request, &identity)?;
    let path = env.iter().find_map(|entry| entry.strip_prefix(b"PATH="));
    let program = program::find(name, path.unwrap_or_default())?;
    let cannot = |error| failed(RefusalCode::Failed, format_args!("start {}", shown(name)), error);
    let Ends { input, outputs, terminal, theirs: stdio } =
        ends(request, &identity).map_err(cannot)?;
    let launch = Launch {
        program,
        argv: request.argv.iter().map(|text| c_string(text.clone())).collect::<Result<_, _>>()?,
        env: env.into_iter().map(c_string).collect::<Result<_, _>>()?,
        cwd: request.cwd.clone().map_or_else(|| Ok(CString::from(c"/")), c_string)?,
        uid: identity.uid,
        gid: identity.gid,
        groups: identity.groups,
        open_files: agent.program_files(),
        stdio,
        terminal: request.terminal.is_some(),
    };
    let group = match agent.groups() {
        Some(groups) => Some(groups.create(&exec.to_string(), request).map_err(|error| {
            // A group without the file of a limit: the kernel has not its controller.
            let lacks = has_limits(request) && error == Errno::NOENT;
            let code = if lacks { RefusalCode::Unsupported } else { RefusalCode::Failed };
            failed(code, "make a control group with these limits", error)
        })?),
        None if has_limits(request) => {
            let what = "limit a program: the guest has no control groups";
            return Err(refused(RefusalCode::Unsupported, what));
        }
        None => None,
    };
    let (report, theirs) = pipe_with(PipeFlags::CLOEXEC).map_err(cannot)?;
    let start = || launch.start(group.as_ref().map(AsFd::as_fd), &theirs);
    let child = agent.children().start(start).map_err(cannot)?;
    Ok(Running { child, group, report, input, outputs, terminal })
}

fn has_limits(request: &StartExec) -> bool {
    request.memory_max.is_some() || request.pids_max.is_some() || request.cpu_max_permille.is_some()
}

impl Running {
    /// What the process said before it could become the program.
    pub(crate) fn refusal(&self, request: &StartExec, report: &[u8]) -> Option<Refusal> {
        let (stage, errno) = Stage::read(report)?;
        let name = request.argv.first().map(|name| shown(name)).unwrap_or_default();
        if let Some(group) = &self.group {
            group.wait_until_empty(Instant::now() + Duration::from_secs(1));
        }
        Some(match stage {
            Stage::Program => {
                let code = match errno {
                    Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG => {
                        RefusalCode::NoProgram
                    }
                    Errno::ACCESS | Errno::NOEXEC | Errno::PERM | Errno::ISDIR | Errno::TXTBSY => {
                        RefusalCode::NotExecutable
                    }
                    _ => RefusalCode::Failed,
                };
                failed(code, format_args!("run {name}"), errno)
            }
            Stage::Directory => {
                let directory = request.cwd.as_deref().map_or_else(String::new, shown);
                failed(RefusalCode::NoDirectory, format_args!("change to {directory}"), errno)
            }
            Stage::Session | Stage::Stdio => {
                failed(RefusalCode::Failed, format_args!("give {name} its input and output"), errno)
            }
            Stage::Identity => failed(
                RefusalCode::Failed,
                format_args!("become {}", request.user.as_deref().map_or_else(String::new, shown)),
                errno,
            ),
        })
    }
}

/// What the program finds in its environment.
fn environment(request: &StartExec, identity: &Identity) -> Result<Vec<Vec<u8>>, Refusal> {
    let mut entries = vec![
        [b"PATH=", program::DEFAULT_PATH].concat(),
        [b"HOME=".as_slice(), &identity.home].concat(),
    ];
    if let Some(name) = &identity.name {
        entries.push([b"USER=".as_slice(), name].concat());
        entries.push([b"LOGNAME=".as_slice(), name].concat());
    }
    if request.terminal.is_some() {
        entries.push(b"TERM=xterm".to_vec());
    }
    for given in &request.env {
        let Some(at) = given.iter().position(|byte| *byte == b'=').filter(|at| *at > 0) else {
            let what = "set a variable: it has no name, or no value behind `=`";
            return Err(refused(RefusalCode::Protocol, what));
        };
        entries.retain(|entry| !entry.starts_with(&given[..=at]));
        entries.push(given.to_vec());
    }
    Ok(entries)
}

fn ends(request: &StartExec, identity: &Identity) -> Result<Ends, Errno> {
    let keep = request.lost == Lost::Keep;
    if let Some(size) = &request.terminal {
        let (ours, theirs) = terminal::open(size)?;
        give_to(&theirs, identity)?;
        let sink = if request.stdin { Some(duplicate(&ours)?) } else { None };
        return Ok(Ends {
            input: Input::new(sink, true),
            outputs: vec![Output::new(Stream::Stdout, duplicate(&ours)?, keep)],
            theirs: [duplicate(&theirs)?, duplicate(&theirs)?, theirs],
            terminal: Some(ours),
        });
    }
    let (their_input, sink) = if request.stdin {
        let (theirs, ours) = pipe_with(PipeFlags::CLOEXEC)?;
        give_to(&theirs, identity)?;
        rustix::fs::fcntl_setfl(&ours, OFlags::WRONLY | OFlags::NONBLOCK)?;
        (theirs, Some(ours))
    } else {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        (rustix::fs::open("/dev/null", flags, Mode::empty())?, None)
    };
    let (stdout, their_output) = output(Stream::Stdout, keep, identity)?;
    let (stderr, their_errors) = output(Stream::Stderr, keep, identity)?;
    Ok(Ends {
        input: Input::new(sink, false),
        outputs: vec![stdout, stderr],
        terminal: None,
        theirs: [their_input, their_output, their_errors],
    })
}

fn output(stream: Stream, keep: bool, identity: &Identity) -> Result<(Output, OwnedFd), Errno> {
    let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
    give_to(&theirs, identity)?;
    rustix::fs::fcntl_setfl(&ours, OFlags::RDONLY | OFlags::NONBLOCK)?;
    Ok((Output::new(stream, ours, keep), theirs))
}

fn duplicate(end: &OwnedFd) -> Result<OwnedFd, Errno> {
    rustix::io::fcntl_dupfd_cloexec(end, 3)
}

/// A program that opens `/dev/stdout` or `/dev/tty` anew does so as its user.
fn give_to(end: &OwnedFd, identity: &Identity) -> Result<(), Errno> {
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    rustix::fs::fchown(end, Some(uid), Some(gid))
}
