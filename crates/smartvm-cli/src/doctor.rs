//! `smartvm doctor`: what this host can do, and how to mend what it cannot.
//!
//! One line a check, its remedy indented below. With `--json`:
//! `{"checks":[{"id","title","status":"pass|info|warn|fail","found","remedy","figures"}],
//! "canRunFirecracker":true,"canRunLinuxGuests":true}`, where `remedy` may be null and every
//! name in `figures` ends with its unit.

use anstyle::{AnsiColor, Style};
use smartvm::DiskLedger;
use smartvm::doctor::{Check, DoctorOptions, DoctorReport, Status, examine};

use crate::exit_code::Exit;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::settings::Settings;

pub(crate) const AFTER_HELP: &str = "\
Runs a guest of a few instructions under KVM and measures it, since a KVM that opens may still be
too slow for a Linux kernel. Changes nothing on the host.

Exit code 0 when Linux guests can run here, else 4.

Examples:
  smartvm doctor
  smartvm doctor --json | jq '.checks[] | select(.status == \"fail\")'

With --json: {\"checks\":[{\"id\",\"title\",\"status\":\"pass|info|warn|fail\",\"found\",\"remedy\",
\"figures\"}],\"canRunFirecracker\":true,\"canRunLinuxGuests\":true}.";

/// Examines the host and prints what was found.
pub(crate) fn perform(settings: &Settings, printer: Printer) -> Result<Exit, Failure> {
    let mut options = DoctorOptions::new(&settings.data_dir, &settings.runtime_dir);
    options.chroot_base = settings.options().chroot_base();
    options.firecracker.clone_from(&settings.firecracker);
    options.path_var.clone_from(&settings.path_var);
    options.network_dir.clone_from(&settings.network_dir);
    options.disk = DiskLedger::from(&settings.options());
    let report = examine(&options);
    if printer.wants_json() {
        printer.json(&report)?;
    } else {
        printer.data(&render(&report))?;
    }
    let able = report.can_run_firecracker && report.can_run_linux_guests;
    Ok(if able { Exit::Ok } else { Exit::Conflict })
}

fn render(report: &DoctorReport) -> String {
    let width = report.checks.iter().map(|check| check.title.chars().count()).max().unwrap_or(0);
    let mut lines: Vec<_> = report.checks.iter().map(|check| line(check, width)).collect();
    lines.push(String::new());
    lines.push(summary(report));
    lines.join("\n")
}

fn line(check: &Check, width: usize) -> String {
    let (mark, colour) = mark(check.status);
    let style = Style::new().fg_color(colour.map(Into::into));
    let title = check.title;
    let mut line = format!("{style}{mark:<4}{style:#}  {title:<width$}  {}", check.found);
    if let Some(remedy) = &check.remedy {
        line.push_str(&format!("\n      -> {}", remedy.replace('\n', "\n         ")));
    }
    line
}

/// The word and its colour; the word alone says it all.
fn mark(status: Status) -> (&'static str, Option<AnsiColor>) {
    match status {
        Status::Pass => ("ok", Some(AnsiColor::Green)),
        Status::Info => ("info", None),
        Status::Warn => ("warn", Some(AnsiColor::Yellow)),
        Status::Fail => ("FAIL", Some(AnsiColor::Red)),
    }
}

fn summary(report: &DoctorReport) -> String {
    match (report.can_run_firecracker, report.can_run_linux_guests) {
        (true, true) => "This host can run Linux guests.",
        (true, false) => "Firecracker runs here, but KVM is too slow or broken for Linux guests.",
        (false, true) => "KVM is fine, but Firecracker cannot run here yet.",
        (false, false) => "This host cannot run microVMs yet.",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: Status, remedy: Option<&str>) -> Check {
        Check {
            id: "kvm",
            title: "KVM",
            status,
            found: "/dev/kvm opens".to_owned(),
            remedy: remedy.map(str::to_owned),
            figures: Default::default(),
        }
    }

    #[test]
    fn a_check_is_a_line_and_its_remedy_is_indented_below() {
        let plain = |check: &Check| anstream::adapter::strip_str(&line(check, 6)).to_string();
        assert_eq!(plain(&check(Status::Pass, None)), "ok    KVM     /dev/kvm opens");
        let failed = check(Status::Fail, Some("load the module:\nmodprobe kvm"));
        assert_eq!(
            plain(&failed),
            "FAIL  KVM     /dev/kvm opens\n      -> load the module:\n         modprobe kvm"
        );
    }
}
