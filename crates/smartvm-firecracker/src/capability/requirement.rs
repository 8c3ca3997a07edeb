//! What a request needs of the running Firecracker.

use std::fmt;

use serde_json::Value;

use super::endpoint::Endpoint;
use super::field::{Field, FieldKind};
use super::method::Method;
use super::since::Since;
use crate::FirecrackerVersion;

/// A part of a request that not every version knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// The endpoint, such as `PUT /serial`; a field of its body, such as
    /// `mem_backend.backend_path`; or a field and its value, such as `huge_pages: Transparent`.
    pub what: String,
    /// Which versions know it.
    pub since: Since,
}

impl Requirement {
    /// Whether a version knows it.
    #[must_use]
    pub fn is_met_by(&self, version: &FirecrackerVersion) -> bool {
        self.since.includes(version)
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} needs Firecracker {}", self.what, self.since)
    }
}

/// What a request needs that not every version has: of its endpoint first, then of the fields
/// that its body holds.
///
/// Nothing is said of an endpoint or a field that no known version has; Firecracker judges those.
///
/// ```
/// use smartvm_firecracker::capability::{Method, requirements};
///
/// let balloon = serde_json::json!({
///     "amount_mib": 64, "deflate_on_oom": true, "free_page_hinting": true,
/// });
/// let needs = requirements(Method::Put, "/balloon", Some(&balloon));
/// assert_eq!(needs.len(), 1);
/// assert_eq!(needs[0].to_string(), "free_page_hinting needs Firecracker 1.14.0");
/// ```
#[must_use]
pub fn requirements(method: Method, path: &str, body: Option<&Value>) -> Vec<Requirement> {
    let mut found = Vec::new();
    let Some(endpoint) = Endpoint::find(method, path) else { return found };
    if endpoint.since != Since::FIRST {
        let what = format!("{method} {}", endpoint.path);
        found.push(Requirement { what, since: endpoint.since });
    }
    if let Some(body) = body {
        collect(endpoint.body, "", body, &mut found);
    }
    found
}

/// Whether a body of this schema can hold anything that `version` does not know. It mostly
/// cannot, which spares looking at the body.
pub(crate) fn has_news(schema: &str, version: &FirecrackerVersion) -> bool {
    Field::of(schema).any(|field| {
        !field.since.includes(version)
            || match field.kind {
                FieldKind::Plain => false,
                FieldKind::Choice(values) => values.iter().any(|(_, s)| !s.includes(version)),
                FieldKind::Of(inner) => has_news(inner, version),
            }
    })
}

fn collect(schema: &str, prefix: &str, value: &Value, found: &mut Vec<Requirement>) {
    match value {
        Value::Array(items) => {
            for item in items {
                collect(schema, prefix, item, found);
            }
        }
        Value::Object(members) => {
            for (name, value) in members {
                let Some(field) = Field::of(schema).find(|field| field.name == name) else {
                    continue;
                };
                collect_field(field, &format!("{prefix}{name}"), value, found);
            }
        }
        _ => {}
    }
}

fn collect_field(field: &Field, what: &str, value: &Value, found: &mut Vec<Requirement>) {
    let mut note = |what: String, since| {
        let requirement = Requirement { what, since };
        // The items of a list need the same thing over and over.
        if since != Since::FIRST && !found.contains(&requirement) {
            found.push(requirement);
        }
    };
    note(what.to_owned(), field.since);
    match field.kind {
        FieldKind::Plain => {}
        FieldKind::Choice(values) => {
            for (word, since) in values.iter().filter(|(word, _)| value == word) {
                note(format!("{what}: {word}"), *since);
            }
        }
        FieldKind::Of(inner) => collect(inner, &format!("{what}."), value, found),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn needs(method: Method, path: &str, body: Value) -> Vec<String> {
        requirements(method, path, Some(&body)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_every_version_has_needs_nothing() {
        let drive = json!({"drive_id": "a", "rate_limiter": {"ops": {"size": 1}}});
        assert!(needs(Method::Put, "/drives/a", drive).is_empty());
        assert!(needs(Method::Put, "/mmds", json!({"huge_pages": "Transparent"})).is_empty());
        assert!(needs(Method::Put, "/no/such", json!({"mtu": 1})).is_empty());
    }

    #[test]
    fn endpoint_fields_and_values_are_named() {
        assert_eq!(
            needs(Method::Put, "/serial", json!({"rate_limiter": {"size": 1}})),
            ["PUT /serial needs Firecracker 1.14.0", "rate_limiter needs Firecracker 1.16.0"]
        );
        assert_eq!(
            needs(Method::Patch, "/machine-config", json!({"huge_pages": "Transparent"})),
            ["huge_pages: Transparent needs Firecracker 1.17.0"]
        );
        assert_eq!(needs(Method::Put, "/machine-config", json!({"huge_pages": "2M"})), [""; 0]);
    }

    #[test]
    fn the_items_of_a_list_are_looked_into_and_named_once() {
        let overrides = json!({"network_overrides": [{"iface_id": "a"}, {"iface_id": "b"}]});
        assert_eq!(
            needs(Method::Put, "/snapshot/load", overrides),
            [
                "network_overrides needs Firecracker 1.12.0",
                "network_overrides.iface_id needs Firecracker 1.12.0"
            ]
        );
    }

    #[test]
    fn a_body_is_looked_at_only_when_its_schema_has_news() {
        let v1_12 = FirecrackerVersion::new(1, 12, 1);
        let newest = FirecrackerVersion::new(1, 17, 0);
        assert!(has_news("MachineConfiguration", &v1_12), "for one value");
        assert!(has_news("Balloon", &v1_12));
        assert!(!has_news("Drive", &v1_12));
        assert!(!has_news("Balloon", &newest));
    }
}
