//! A real Firecracker, and the ways to try its API.

use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use smartvm_firecracker::capability::{FieldKind, Method, requirements};
use smartvm_firecracker::{
    ApiClient, ApiError, FirecrackerBinary, FirecrackerProcess, FirecrackerVersion, LaunchSpec,
    capability,
};

use super::record::Record;
use super::wire_form::{fields_of, kind_of, wrong_for};

/// What Firecracker is to say of a valid request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Expect {
    Accepted,
    /// Refused, with this in its words: what is asked for cannot be had here and now.
    Refused(&'static str),
}

/// The program to try, and how.
#[derive(Debug, Clone)]
pub(super) struct Binary {
    pub(super) path: PathBuf,
    /// Whether it is started with `--enable-pci`.
    pub(super) pci: bool,
}

/// A process in a directory of its own.
pub(super) struct Session<'a> {
    pub(super) client: ApiClient,
    pub(super) version: FirecrackerVersion,
    pub(super) dir: PathBuf,
    process: FirecrackerProcess,
    record: &'a mut Record,
}

struct StandsStill(Pid);

impl Drop for StandsStill {
    fn drop(&mut self) {
        kill_process(self.0, Signal::CONT).unwrap();
    }
}

impl<'a> Session<'a> {
    pub(super) async fn start(binary: &Binary, dir: PathBuf, record: &'a mut Record) -> Self {
        fs_err::create_dir_all(&dir).unwrap();
        let socket_path = dir.join("api.sock");
        drop(fs_err::remove_file(&socket_path));
        let spec = LaunchSpec {
            working_dir: Some(dir.clone()),
            socket_path,
            instance_id: "conformance".to_owned(),
            vm: None,
            log_level: None,
            log: None,
            metrics: None,
            enable_pci: binary.pci,
            console_capacity: 4096,
            die_with_parent: true,
        };
        let program = FirecrackerBinary::open(&binary.path).unwrap();
        let process = FirecrackerProcess::launch(&program, spec).await.unwrap();
        let client = process.ready().await.unwrap();
        let version = client.known_version().unwrap().clone();
        Self { client, version, dir, process, record }
    }

    /// Stops the process until what is returned is dropped.
    pub(super) fn stand_still(&self) -> impl Drop + use<> {
        let pid = Pid::from_raw(self.process.identity().pid.cast_signed()).unwrap();
        kill_process(pid, Signal::STOP).unwrap();
        StandsStill(pid)
    }

    pub(super) async fn end(self) {
        self.process.terminate(&smartvm_firecracker::TERM_THEN_KILL).await;
    }

    /// Tries a request with a body: whole, with each field of a wrong type, and with each field
    /// that this version does not know.
    pub(super) async fn write(
        &mut self,
        method: Method,
        path: &str,
        schema: &str,
        body: Value,
        expect: Expect,
    ) {
        let known = self.without_news(schema, &body);
        self.refuse_news(method, path, schema, &body, &known).await;
        if requirements(method, path, None).iter().any(|r| !r.is_met_by(&self.version)) {
            return;
        }
        for (at, pointer) in members(schema, "", &known) {
            let mut wrong = known.clone();
            let value = wrong.pointer_mut(&pointer).unwrap();
            *value = wrong_for(value);
            let refused = self.client.request(method, path, Some(&wrong)).await.unwrap_err();
            assert_eq!(refused.code(), "API_REFUSED", "{method} {path} with {wrong}: {refused}");
            self.note(method, path, &at, "of a wrong type", &refused.to_string());
        }
        let outcome = self.client.request(method, path, Some(&known)).await.map(drop);
        let outcome = self.judge(method, path, &known, outcome, expect);
        for (at, _) in members(schema, "", &known) {
            self.note(method, path, &at, "valid", &outcome);
        }
        self.note(method, path, "", "valid", &outcome);
    }

    /// Tries a request without a body that changes something.
    pub(super) async fn act(&mut self, method: Method, path: &str, expect: Expect) {
        let outcome = self.client.request(method, path, None).await.map(drop);
        let too_old = requirements(method, path, None).iter().any(|r| !r.is_met_by(&self.version));
        let outcome = match outcome {
            Err(error) if too_old => not_sent(&error, path),
            outcome => self.judge(method, path, &Value::Null, outcome, expect),
        };
        self.note(method, path, "", "valid", &outcome);
    }

    /// Reads a resource; every field of the answer must be specified, with its type.
    pub(super) async fn read(&mut self, path: &str, schema: &str, expect: Expect) {
        let answer = self.client.get::<Value>(path).await;
        let too_old = requirements(Method::Get, path, None);
        if too_old.iter().any(|r| !r.is_met_by(&self.version)) {
            let outcome = not_sent(&answer.unwrap_err(), path);
            self.note(Method::Get, path, "", "read", &outcome);
            for (name, ..) in fields_of(schema) {
                self.note(Method::Get, path, &format!("{schema}.{name}"), "read", &outcome);
            }
            return;
        }
        let value = answer.as_ref().ok().cloned().unwrap_or_default();
        let outcome = self.judge(Method::Get, path, &Value::Null, answer.map(drop), expect);
        self.note(Method::Get, path, "", "read", &outcome);
        if matches!(expect, Expect::Accepted) && schema != "MmdsContentsObject" {
            super::samples::through_our_type(schema, &value).unwrap();
            for name in value.as_object().unwrap().keys() {
                let known = fields_of(schema).any(|(known, ..)| known == name);
                assert!(known, "GET {path} answers {name}, which {schema} has not: {value}");
            }
        }
        for (name, kind, _) in fields_of(schema).filter(|(name, ..)| !name.is_empty()) {
            let there = value.get(name).unwrap_or(&Value::Null);
            assert!(["null", kind].contains(&kind_of(there)), "GET {path}: {name} is {there}");
            let case = if there.is_null() { "read, not set" } else { "read" };
            self.note(Method::Get, path, &format!("{schema}.{name}"), case, &outcome);
        }
    }

    /// Shows for each new field that a request with it is not sent.
    async fn refuse_news(
        &mut self,
        method: Method,
        path: &str,
        schema: &str,
        body: &Value,
        known: &Value,
    ) {
        let endpoint = requirements(method, path, None);
        let has_endpoint = endpoint.iter().all(|r| r.is_met_by(&self.version));
        for (at, pointer) in members(schema, "", body) {
            if has_endpoint && known.pointer(&pointer).is_some() {
                continue;
            }
            // Alone among what is known, so that it is this field that is refused.
            let name = pointer.split('/').nth(1).unwrap();
            let mut newer = known.clone();
            newer[name] = body[name].clone();
            let refused = self.client.request(method, path, Some(&newer)).await.unwrap_err();
            let outcome = not_sent(&refused, path);
            assert!(!has_endpoint || outcome.contains(name), "{outcome} is not about {name}");
            self.note(method, path, &at, "newer than this", &outcome);
        }
        if !has_endpoint {
            let refused = self.client.request(method, path, Some(known)).await.unwrap_err();
            self.note(method, path, "", "newer than this", &not_sent(&refused, path));
        }
    }

    /// The body without the fields that this version does not know.
    fn without_news(&self, schema: &str, body: &Value) -> Value {
        let mut known = body.clone();
        if let Value::Array(items) = &mut known {
            items.iter_mut().for_each(|item| *item = self.without_news(schema, item));
        }
        let Value::Object(fields) = &mut known else { return known };
        fields.retain(|name, value| {
            let Some(field) = capability::Field::of(schema).find(|f| f.name == name) else {
                return true;
            };
            if let FieldKind::Of(inner) = field.kind {
                *value = self.without_news(inner, value);
            }
            field.since.includes(&self.version)
        });
        known
    }

    fn judge(
        &self,
        method: Method,
        path: &str,
        body: &Value,
        outcome: Result<(), ApiError>,
        expect: Expect,
    ) -> String {
        match (outcome, expect) {
            (Ok(()), Expect::Accepted) => "accepted".to_owned(),
            (Err(error), Expect::Refused(words)) => {
                assert_eq!(error.code(), "API_REFUSED", "{error}");
                assert!(error.to_string().contains(words), "{error}");
                error.to_string()
            }
            (outcome, expect) => panic!(
                "Firecracker {}: {method} {path} with {body} is {outcome:?} and not {expect:?}",
                self.version
            ),
        }
    }

    fn note(&mut self, method: Method, path: &str, field: &str, case: &str, outcome: &str) {
        let endpoint = capability::Endpoint::find(method, path).unwrap();
        self.record.add(&format!("{method} {}", endpoint.path), field, case, outcome);
    }
}

fn not_sent(error: &ApiError, path: &str) -> String {
    let ApiError::TooOld { requirement, .. } = error else {
        panic!("{path} was not refused for its age: {error:?}")
    };
    format!("not sent: {requirement}")
}

/// All fields in a body, those within others too: as `Drive.drive_id`, and as a JSON pointer.
fn members(schema: &str, prefix: &str, value: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if let Value::Array(items) = value {
        for (index, item) in items.iter().enumerate() {
            found.extend(members(schema, &format!("{prefix}/{index}"), item));
        }
    }
    for (name, value) in value.as_object().into_iter().flatten() {
        let pointer = format!("{prefix}/{name}");
        let Some(field) = capability::Field::of(schema).find(|f| f.name == name) else { continue };
        found.push((format!("{schema}.{name}"), pointer.clone()));
        if let FieldKind::Of(inner) = field.kind {
            if inner == "CpuTemplate" {
                found.push(("CpuTemplate.".to_owned(), pointer.clone()));
            }
            found.extend(members(inner, &pointer, value));
        }
    }
    found
}
