//! Our types beside the specification: every schema, every field, without Firecracker.

use std::collections::BTreeSet;

use serde_json::Value;
use smartvm_firecracker::capability;

use super::expected::{ENDPOINTS, FIELDS};
use super::samples::{SCHEMAS, sample, through_our_type};

#[test]
fn the_tables_of_the_client_are_those_of_the_specification() {
    let ours: BTreeSet<_> = capability::ENDPOINTS
        .iter()
        .map(|e| (e.method.to_string(), e.path.to_owned(), short(e.since)))
        .collect();
    let theirs = ENDPOINTS.map(|(m, p, since)| (m.to_owned(), p.to_owned(), since.to_owned()));
    assert_eq!(ours, BTreeSet::from(theirs));

    let ours: BTreeSet<_> = capability::FIELDS
        .iter()
        .map(|f| (f.schema.to_owned(), f.name.to_owned(), short(f.since)))
        .collect();
    let theirs = FIELDS.map(|(schema, name, _, _, since)| {
        // Taken by Firecracker long before they were specified; see the client's table.
        let specified_late = [
            "CpuidLeafModifier",
            "CpuidRegisterModifier",
            "MsrModifier",
            "ArmRegisterModifier",
            "VcpuFeatures",
        ];
        let since = if specified_late.contains(&schema) { "1.7" } else { since };
        (schema.to_owned(), name.to_owned(), since.to_owned())
    });
    assert_eq!(ours, BTreeSet::from(theirs));
}

/// The first version, as the specification's tables write it.
fn short(since: capability::Since) -> String {
    let first = since.first().to_string();
    first.strip_suffix(".0").map_or(first.clone(), str::to_owned)
}

#[test]
fn every_field_has_the_specified_name_and_type_in_our_types() {
    assert_eq!(schemas_of_the_table(), BTreeSet::from(SCHEMAS));
    for schema in SCHEMAS {
        let value = sample(schema);
        assert_eq!(through_our_type(schema, &value).unwrap(), value, "{schema}");
        let named: BTreeSet<&str> = fields_of(schema).map(|(name, ..)| name).collect();
        match &value {
            Value::Object(members) if schema != "MmdsContentsObject" => {
                assert_eq!(members.keys().map(String::as_str).collect::<BTreeSet<_>>(), named);
            }
            _ => assert_eq!(named, BTreeSet::from([""]), "{schema}"),
        }
        for (name, kind, required) in fields_of(schema).filter(|(name, ..)| !name.is_empty()) {
            let at = format!("{schema}.{name}");
            assert_eq!(kind_of(&value[name]), kind, "{at}");
            let mut wrong = value.clone();
            wrong[name] = wrong_for(&value[name]);
            assert!(through_our_type(schema, &wrong).is_err(), "{at} took {}", wrong[name]);
            let mut without = value.clone();
            without.as_object_mut().unwrap().remove(name);
            let read = through_our_type(schema, &without);
            assert_eq!(read.is_err(), required, "{at} required: {read:?}");
            if let Ok(read) = read
                && schema != "FullVmConfiguration"
            {
                assert_eq!(read, without, "{at} is left out when it is not set");
            }
        }
    }
}

#[test]
fn what_changes_the_machine_has_the_same_fields_and_needs_none() {
    use smartvm_firecracker::api::MachineConfigurationUpdate;
    let whole = sample("MachineConfiguration");
    let update: MachineConfigurationUpdate = serde_json::from_value(whole.clone()).unwrap();
    assert_eq!(serde_json::to_value(update).unwrap(), whole);
    let nothing = MachineConfigurationUpdate::default();
    assert_eq!(serde_json::to_value(nothing).unwrap(), serde_json::json!({}));
}

fn schemas_of_the_table() -> BTreeSet<&'static str> {
    FIELDS.iter().map(|(schema, ..)| *schema).collect()
}

pub(super) fn fields_of(schema: &str) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
    FIELDS.iter().filter(move |row| row.0 == schema).map(|row| (row.1, row.2, row.3))
}

pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A value of another type.
pub(super) fn wrong_for(value: &Value) -> Value {
    match value {
        Value::Number(_) | Value::Bool(_) => Value::from("neither"),
        _ => Value::from(7),
    }
}
