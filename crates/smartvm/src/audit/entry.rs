//! One line of the audit log.

use std::sync::OnceLock;
use std::time::SystemTime;

use rustix::process::{getpid, getuid};
use serde::{Deserialize, Serialize};

/// The kernel's word for "nobody logged in".
const NO_LOGIN: u32 = u32::MAX;

/// The longest text that is written of a detail.
const DETAIL_LIMIT: usize = 200;

/// One line. See the [module](crate::audit) for what its parts mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AuditEntry {
    /// When: RFC 3339 in UTC.
    pub time: String,
    /// The user who asked.
    pub uid: u32,
    /// The user who logged in and became that user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_uid: Option<u32>,
    /// The process that asked.
    pub pid: u32,
    /// How it asked.
    pub way: AuditWay,
    /// The VM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm: Option<String>,
    /// What was asked for.
    pub action: String,
    /// Whether it was asked for or answered.
    pub phase: AuditPhase,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// How long it took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<f64>,
    /// What exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// How a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditWay {
    /// Within the process that owns the VM, or that changed something of it itself.
    Process,
    /// From another process, over the VM's control socket.
    ControlSocket,
}

/// Which line of a request it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditPhase {
    /// Before it is carried out.
    Asked,
    /// When it was answered.
    Done,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asker {
    uid: u32,
    login_uid: Option<u32>,
    pid: u32,
    way: AuditWay,
}

impl Asker {
    /// This process.
    pub(crate) fn this_process() -> Self {
        static LOGIN_UID: OnceLock<Option<u32>> = OnceLock::new();
        let pid = getpid();
        Self {
            uid: getuid().as_raw(),
            login_uid: *LOGIN_UID.get_or_init(|| login_uid("self")),
            pid: pid.as_raw_nonzero().get().cast_unsigned(),
            way: AuditWay::Process,
        }
    }

    /// The other end of a control socket, as the kernel told who connected.
    pub(crate) fn peer(uid: u32, pid: Option<i32>) -> Self {
        let pid = pid.and_then(|pid| u32::try_from(pid).ok());
        Self {
            uid,
            // A process that has ended has none, which is not worth more than a look.
            login_uid: pid.and_then(|pid| login_uid(&pid.to_string())),
            pid: pid.unwrap_or(0),
            way: AuditWay::ControlSocket,
        }
    }
}

impl AuditEntry {
    /// A line of now.
    pub(super) fn new(
        asker: Asker,
        vm: Option<&str>,
        action: &str,
        phase: AuditPhase,
        detail: Option<&str>,
    ) -> Self {
        Self {
            time: humantime::format_rfc3339_micros(SystemTime::now()).to_string(),
            uid: asker.uid,
            login_uid: asker.login_uid,
            pid: asker.pid,
            way: asker.way,
            vm: vm.map(str::to_owned),
            action: action.to_owned(),
            phase,
            outcome: None,
            ms: None,
            detail: detail.map(|text| text.chars().take(DETAIL_LIMIT).collect()),
        }
    }

    /// When it was written, if the line says so rightly.
    #[must_use]
    pub fn moment(&self) -> Option<SystemTime> {
        humantime::parse_rfc3339(&self.time).ok()
    }
}

fn login_uid(process: &str) -> Option<u32> {
    let text = fs_err::read_to_string(format!("/proc/{process}/loginuid")).ok()?;
    text.trim().parse().ok().filter(|uid| *uid != NO_LOGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_documented_form() {
        let mut asker = Asker::this_process();
        asker.login_uid = Some(1000);
        let mut entry = AuditEntry::new(asker, Some("web"), "start", AuditPhase::Done, None);
        entry.outcome = Some("ok".to_owned());
        entry.ms = Some(31.5);
        entry.time = "2026-11-29T12:00:00.000001Z".to_owned();
        let uid = getuid().as_raw();
        let pid = std::process::id();
        assert_eq!(
            serde_json::to_string(&entry).unwrap(),
            format!(
                "{{\"time\":\"2026-11-29T12:00:00.000001Z\",\"uid\":{uid},\"loginUid\":1000,\"pid\":{pid},\
                 \"way\":\"process\",\"vm\":\"web\",\"action\":\"start\",\"phase\":\"done\",\
                 \"outcome\":\"ok\",\"ms\":31.5}}"
            )
        );
        assert!(entry.moment().is_some());
    }

    #[test]
    fn a_detail_of_any_length_makes_a_short_line() {
        let asker = Asker::this_process();
        let detail = "ü".repeat(100_000);
        let entry = AuditEntry::new(asker, None, "api", AuditPhase::Asked, Some(&detail));
        assert_eq!(entry.detail.unwrap().chars().count(), DETAIL_LIMIT);
    }
}
