//! What an examination found.

use std::collections::BTreeMap;

use serde::Serialize;

/// What this host can do, check by check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DoctorReport {
    /// The checks, those that decide most first.
    pub checks: Vec<Check>,
    /// Whether Firecracker was found and KVM gives it virtual machines.
    pub can_run_firecracker: bool,
    /// Whether KVM runs guests fast enough for a Linux kernel to boot, whichever program starts
    /// them.
    pub can_run_linux_guests: bool,
}

impl DoctorReport {
    /// The check with this [`Check::id`].
    #[must_use]
    pub fn check(&self, id: &str) -> Option<&Check> {
        self.checks.iter().find(|check| check.id == id)
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// A stable name of the check, such as `kvm-guest-speed`.
    pub id: &'static str,
    /// What was looked at, for people.
    pub title: &'static str,
    /// How it looks.
    pub status: Status,
    /// What was found, in one line.
    pub found: String,
    /// What to do about it; always there for [`Status::Warn`] and [`Status::Fail`].
    pub remedy: Option<String>,
    /// The numbers behind it. Each name, in camel case, ends with its unit.
    pub figures: BTreeMap<&'static str, u64>,
}

impl Check {
    /// Adds a number.
    pub(super) fn figure(mut self, name: &'static str, value: u64) -> Self {
        self.figures.insert(name, value);
        self
    }

    /// Adds what could be done.
    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// As it should be.
    Pass,
    /// Neither good nor bad, or of no matter for what is used today.
    Info,
    /// Virtual machines run, but less safely, less fast or not all of them.
    Warn,
    /// Virtual machines do not run.
    Fail,
}

/// A check that has no result yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
}

impl Subject {
    pub(super) fn pass(self, found: impl Into<String>) -> Check {
        self.check(Status::Pass, found, None)
    }

    pub(super) fn info(self, found: impl Into<String>) -> Check {
        self.check(Status::Info, found, None)
    }

    pub(super) fn warn(self, found: impl Into<String>, remedy: impl Into<String>) -> Check {
        self.check(Status::Warn, found, Some(remedy.into()))
    }

    pub(super) fn fail(self, found: impl Into<String>, remedy: impl Into<String>) -> Check {
        self.check(Status::Fail, found, Some(remedy.into()))
    }

    fn check(self, status: Status, found: impl Into<String>, remedy: Option<String>) -> Check {
        let figures = BTreeMap::new();
        Check { id: self.id, title: self.title, status, found: found.into(), remedy, figures }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_has_the_documented_fields() {
        let check = Subject { id: "swap", title: "Swap" }
            .warn("1 device", "turn it off")
            .figure("sizeBytes", 4096);
        let report = DoctorReport {
            checks: vec![check],
            can_run_firecracker: true,
            can_run_linux_guests: false,
        };
        let expected = serde_json::json!({
            "checks": [{
                "id": "swap",
                "title": "Swap",
                "status": "warn",
                "found": "1 device",
                "remedy": "turn it off",
                "figures": { "sizeBytes": 4096 },
            }],
            "canRunFirecracker": true,
            "canRunLinuxGuests": false,
        });
        assert_eq!(serde_json::to_value(&report).unwrap(), expected);
        assert_eq!(report.check("swap"), Some(&report.checks[0]));
        assert_eq!(report.check("other"), None);
    }
}
