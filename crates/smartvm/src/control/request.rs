//! What can be asked over a control socket, and the form of the answers.

use std::error::Error;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::smart_vm_error::SmartVmError;
use crate::snapshot::{CreateSnapshot, SnapshotName};

/// The longest line that is read, in bytes.
pub const MAX_LINE: usize = 1 << 20;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "call", content = "params", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum ControlCall {
    /// What the VM is and does.
    Info,
    /// Make the guest stand still.
    Pause,
    /// Let it go on.
    Resume,
    /// What its Firecracker counts, as of now.
    Metrics,
    /// Save it.
    SnapshotCreate(SnapshotCreateCall),
    /// Hand over a connection to a port of the guest.
    ConnectGuest(ConnectGuestCall),
}

/// A connection that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConnectGuestCall {
    /// The port of the guest.
    pub port: u32,
    /// How long a guest that has not told yet that it is ready is waited for, in milliseconds.
    #[serde(default)]
    pub patience_ms: u32,
}

/// A snapshot that is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SnapshotCreateCall {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<SnapshotName>,
    /// What it is built on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<SnapshotName>,
    /// Whether the guest stays paused.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keep_paused: bool,
    /// The secret key to sign it with, a file of the VM's owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign: Option<PathBuf>,
}

impl From<SnapshotCreateCall> for CreateSnapshot {
    fn from(call: SnapshotCreateCall) -> Self {
        Self { name: call.name, base: call.base, keep_paused: call.keep_paused, sign: call.sign }
    }
}

impl ControlCall {
    /// Reads a request from one line.
    ///
    /// # Errors
    /// When it is no JSON of a request.
    pub fn parse(line: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(line)
    }
}

/// An answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Answer {
    Ok(Value),
    Error(Refusal),
}

/// What went wrong at the other side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Refusal {
    pub(super) code: String,
    pub(super) message: String,
    #[serde(default)]
    pub(super) causes: Vec<String>,
    pub(super) hint: Option<String>,
}

impl Refusal {
    pub(super) fn of(error: &SmartVmError) -> Self {
        Self::told(error, error.code(), error.hint())
    }

    pub(super) fn told(error: &dyn Error, code: &str, hint: Option<String>) -> Self {
        let message = error.to_string();
        let mut causes: Vec<String> = Vec::new();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            // A transparent wrapper says what its source says.
            if *causes.last().unwrap_or(&message) != text {
                causes.push(text);
            }
            source = cause.source();
        }
        Self { code: code.to_owned(), message, causes, hint }
    }

    pub(super) fn bad_request(why: impl std::fmt::Display) -> Self {
        Self {
            code: "BAD_REQUEST".to_owned(),
            message: format!("cannot understand the request: {why}"),
            causes: Vec::new(),
            hint: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn requests_have_the_documented_form() {
        let read = |line: &str| ControlCall::parse(line.as_bytes()).unwrap();
        assert_eq!(read(r#"{"call":"pause"}"#), ControlCall::Pause);
        assert_eq!(read(r#"{"call":"info"}"#), ControlCall::Info);
        assert_eq!(read(r#"{"call":"metrics"}"#), ControlCall::Metrics);
        let call = read(r#"{"call":"snapshot-create","params":{"name":"a","keepPaused":true}}"#);
        let expected = SnapshotCreateCall {
            name: "a".parse().ok(),
            keep_paused: true,
            ..SnapshotCreateCall::default()
        };
        assert_eq!(call, ControlCall::SnapshotCreate(expected));
        let text = serde_json::to_string(&call).unwrap();
        assert_eq!(read(&text), call);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for line in [
            "",
            "{}",
            "[]",
            r#"{"call":"destroy"}"#,
            r#"{"call":"snapshot-create","params":{"name":"../a"}}"#,
            r#"{"call":"snapshot-create","params":{"nam":"a"}}"#,
            r#"{"call":"pause","more":1}"#,
        ] {
            assert!(ControlCall::parse(line.as_bytes()).is_err(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = ControlCall::parse(&bytes);
        }
    }
}
