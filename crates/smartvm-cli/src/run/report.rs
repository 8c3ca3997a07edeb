//! What `--report PATH` writes when the guest has ended.
//!
//! One JSON object. Times are milliseconds; `atMs` counts from `startedAtUnixMs`.
//!
//! | key | value |
//! |---|---|
//! | `id` | the VM's id, null when there never was one |
//! | `pid` | Firecracker's process id, null before it ran |
//! | `startedAtUnixMs` | when the command began |
//! | `states` | every state the VM was in: `[{"state":"running","atMs":31.2},…]` |
//! | `startMs`, `startSteps` | what the start took: `[{"step":"…","ms":1.5},…]`; null, empty |
//! | `confinement` | `{"kind":"jailed","uid":…,"gid":…,"root":"…","cgroup":null,"limits":…}` or
//! `{"kind":"notJailed","reason":"not-root"}`; null before the start. `limits` is
//! `{"inForce":{"cpuMaxPercent":200,…},"missing":["cpu",…],"reason":"…"}`: what is in force, with the keys
//! of `jail.cgroup`, and what the host cannot limit |
//! | `stop` | `{"endedBy":"ctrl-alt-del","ms":812.0}` when it was stopped, else null |
//! | `end` | `{"cause":"guest-ended","exitCode":0,"signal":null,"meaning":"…"}` or null |
//! | `kernelPanicked`, `poweredDown` | whether `cause` is `guest-panicked`, `powered-off` |
//! | `exitCode`, `exitMeaning` | how the command ended |
//! | `error` | as `--json` prints it, or null |

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use smartvm::{Confinement, StartReport, StopReport, VmEnd, VmState};

use crate::exit_code::Exit;
use crate::failure::Failure;

/// The report in the making.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunReport {
    pub(super) id: Option<String>,
    pub(super) pid: Option<u32>,
    started_at_unix_ms: u128,
    states: Vec<StateAt>,
    start_ms: Option<f64>,
    start_steps: Vec<Step>,
    confinement: Option<Confinement>,
    stop: Option<Stop>,
    end: Option<End>,
    kernel_panicked: bool,
    powered_down: bool,
    exit_code: u8,
    exit_meaning: &'static str,
    error: Option<Failure>,
    #[serde(skip)]
    began: Instant,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StateAt {
    state: VmState,
    at_ms: f64,
}

#[derive(Debug, Serialize)]
struct Step {
    step: &'static str,
    ms: f64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Stop {
    ended_by: &'static str,
    ms: f64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct End {
    cause: smartvm::EndCause,
    exit_code: Option<i32>,
    signal: Option<i32>,
    meaning: Option<&'static str>,
}

impl RunReport {
    /// A report that begins now.
    pub(super) fn new() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            id: None,
            pid: None,
            started_at_unix_ms: since_epoch.as_millis(),
            states: Vec::new(),
            start_ms: None,
            start_steps: Vec::new(),
            confinement: None,
            stop: None,
            end: None,
            kernel_panicked: false,
            powered_down: false,
            exit_code: Exit::Bug.number(),
            exit_meaning: Exit::Bug.meaning(),
            error: None,
            began: Instant::now(),
        }
    }

    /// Takes note of a state the VM is in now. The same state twice counts once.
    pub(super) fn note_state(&mut self, state: VmState) {
        if self.states.last().is_none_or(|last| last.state != state) {
            self.states.push(StateAt { state, at_ms: milliseconds(self.began.elapsed()) });
        }
    }

    pub(super) fn note_start(&mut self, start: &StartReport) {
        self.start_ms = Some(milliseconds(start.total));
        let steps = start.steps.iter().map(|(step, took)| Step { step, ms: milliseconds(*took) });
        self.start_steps = steps.collect();
        self.confinement.clone_from(&start.confinement);
    }

    pub(super) fn note_stop(&mut self, stop: &StopReport) {
        self.stop = Some(Stop { ended_by: stop.ended_by, ms: milliseconds(stop.took) });
    }

    pub(super) fn note_end(&mut self, end: &VmEnd) {
        let exit = end.exit.as_ref();
        self.kernel_panicked = end.cause == smartvm::EndCause::GuestPanicked;
        self.powered_down = end.cause == smartvm::EndCause::PoweredOff;
        self.end = Some(End {
            cause: end.cause,
            exit_code: exit.and_then(|exit| exit.code),
            signal: exit.and_then(|exit| exit.signal),
            meaning: exit.map(|exit| exit.meaning()),
        });
    }

    pub(super) fn note_outcome(&mut self, outcome: &Result<Exit, Failure>) {
        let exit = outcome.as_ref().map_or_else(Failure::exit, |exit| *exit);
        self.exit_code = exit.number();
        self.exit_meaning = exit.meaning();
        self.error = outcome.as_ref().err().cloned();
    }
}

/// The file for the report, opened before anything else happens: a run that cannot be
/// reported should not begin.
#[derive(Debug)]
pub(super) struct ReportFile {
    path: PathBuf,
    file: fs_err::File,
}

impl ReportFile {
    /// Creates or empties the file.
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        match fs_err::File::create(path) {
            Ok(file) => Ok(Self { path: path.to_owned(), file }),
            Err(error) => Err(unwritten(path).caused_by(&error)),
        }
    }

    /// Writes the whole report.
    pub(super) fn write(mut self, report: &RunReport) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(report)
            .map_err(|error| unwritten(&self.path).caused_by(&error))?;
        writeln!(self.file, "{text}").map_err(|error| unwritten(&self.path).caused_by(&error))
    }
}

fn unwritten(path: &Path) -> Failure {
    Failure::new("REPORT_FAILED", format!("failed to write the report `{}`", path.display()))
}

/// To the microsecond.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
