//! `smartvm audit`: who asked what of which VM.
//!
//! With `--json`, an array of the lines as they were written: see the documentation of `smartvm::audit`.

use std::time::SystemTime;

use smartvm::audit::{AuditEntry, AuditLog, AuditPhase, read_audit};

use crate::exit_code::Exit;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::settings::Settings;

/// Print who asked what of which VM
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The lines are in `audit/audit.jsonl` of the data directory, the older ones in files beside it: at most
40 MiB. They hold no arguments, addresses, metadata or other secrets. A request has a line before it is
carried out, which is printed when there is none of its end: the process was killed meanwhile.

Examples:
  smartvm audit
  smartvm audit web --since 2h
  smartvm audit --since 2026-11-29T12:00:00Z --json")]
pub(crate) struct AuditArgs {
    /// Only what was asked of this VM
    vm: Option<String>,
    /// Only since then: so long ago, as 30min or 2h, or a time, as 2026-11-29T12:00:00Z
    #[arg(long, value_name = "AGE|TIME", value_parser = moment)]
    since: Option<SystemTime>,
}

/// Reads the log and prints it.
pub(crate) fn perform(
    args: &AuditArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<Exit, Failure> {
    let wanted = |entry: &AuditEntry| {
        let of_vm = args.vm.is_none() || entry.vm == args.vm;
        of_vm && args.since.is_none_or(|since| entry.moment().is_some_and(|time| time >= since))
    };
    let entries = read_audit(&AuditLog::dir(&settings.data_dir), wanted)
        .map_err(|error| Failure::of(&error, error.code(), None))?;
    if printer.wants_json() {
        printer.json(&entries)?;
    } else if entries.is_empty() {
        printer.status("nothing was written down");
    } else {
        let lines: Vec<_> = told(&entries).map(line).collect();
        printer.data(&lines.join("\n"))?;
    }
    Ok(Exit::Ok)
}

/// The ends of requests, and the beginnings of those that have none.
fn told(entries: &[AuditEntry]) -> impl Iterator<Item = &AuditEntry> {
    entries.iter().enumerate().filter_map(|(index, entry)| {
        let ended = |other: &AuditEntry| {
            other.phase == AuditPhase::Done
                && (other.pid, other.uid, &other.vm, &other.action)
                    == (entry.pid, entry.uid, &entry.vm, &entry.action)
        };
        let is_told = entry.phase == AuditPhase::Done || !entries[index + 1..].iter().any(ended);
        is_told.then_some(entry)
    })
}

fn line(entry: &AuditEntry) -> String {
    let vm = entry.vm.as_deref().unwrap_or("-");
    let outcome = entry.outcome.as_deref().unwrap_or("(no end)");
    let login = entry.login_uid.map(|uid| format!(" (login {uid})")).unwrap_or_default();
    let took = entry.ms.map(|ms| format!(" in {ms} ms")).unwrap_or_default();
    let detail = entry.detail.as_deref().map(|detail| format!(" {detail}")).unwrap_or_default();
    let line = format!(
        "{}  user {}{login} pid {}  {vm}  {}{detail}: {outcome}{took}",
        entry.time, entry.uid, entry.pid, entry.action
    );
    line.chars().filter(|c| !c.is_control()).collect()
}

fn moment(text: &str) -> Result<SystemTime, String> {
    if let Ok(time) = humantime::parse_rfc3339_weak(text) {
        return Ok(time);
    }
    let age = humantime::parse_duration(text);
    let moment = age.ok().and_then(|age| SystemTime::now().checked_sub(age));
    moment.ok_or_else(|| "write an age such as 2h, or a time such as 2026-11-29T12:00:00Z".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(phase: &str, action: &str, pid: u32) -> AuditEntry {
        serde_json::from_value(serde_json::json!({
            "time": "2026-11-29T12:00:00.000000Z", "uid": 0, "pid": pid, "way": "process",
            "vm": "web", "action": action, "phase": phase, "detail": "\u{1b}[2J",
        }))
        .unwrap()
    }

    #[test]
    fn a_request_is_one_line_and_one_without_an_end_too() {
        let entries = [
            entry("asked", "start", 1),
            entry("done", "start", 1),
            entry("asked", "stop", 1),
            entry("done", "stop", 2),
        ];
        let lines: Vec<_> = told(&entries).map(line).collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[1].contains("pid 1  web  stop") && lines[1].contains("(no end)"));
        assert!(!lines[0].contains('\u{1b}'), "{}", lines[0]);
    }

    #[test]
    fn a_moment_is_a_time_or_an_age() {
        assert!(moment("2026-11-29T12:00:00Z").is_ok() && moment("2h 5min").is_ok());
        for text in ["", "x", "2", "-2h", "2026-13-01T00:00:00Z"] {
            assert!(moment(text).is_err(), "{text}");
        }
    }
}
