//! What `smartvm doctor` says of this machine.

use anyhow::Context;
use serde::Deserialize;

use crate::dist::Dist;
use crate::fixtures::firecracker;
use crate::run::Run;
use crate::say;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    checks: Vec<Check>,
    can_run_linux_guests: bool,
}

#[derive(Debug, Deserialize)]
struct Check {
    title: String,
    status: String,
    found: String,
}

/// Whether Linux guests run natively here. Says why not.
pub(crate) fn can_run_linux_guests(dist: &Dist) -> anyhow::Result<bool> {
    let firecracker = firecracker::ensure_pinned()?.firecracker;
    // Its exit code says that something is wrong, which is what we ask for.
    let answer = Run::new(&dist.smartvm)
        .args(["doctor", "--json", "--firecracker"])
        .arg(firecracker)
        .ask()?;
    let report: Report = serde_json::from_str(&answer)
        .with_context(|| format!("understand what `smartvm doctor --json` says: {answer}"))?;
    if !report.can_run_linux_guests {
        for check in report.checks.iter().filter(|check| check.status == "fail") {
            say::step(format!("smartvm doctor: {}: {}", check.title, check.found));
        }
    }
    Ok(report.can_run_linux_guests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_understood() {
        let report: Report = serde_json::from_str(
            r#"{"checks":[{"id":"kvm","title":"KVM","status":"fail","found":"none","remedy":null,
                "figures":{}}],"canRunFirecracker":true,"canRunLinuxGuests":false}"#,
        )
        .unwrap();
        assert!(!report.can_run_linux_guests);
        assert_eq!(report.checks[0].status, "fail");
    }
}
