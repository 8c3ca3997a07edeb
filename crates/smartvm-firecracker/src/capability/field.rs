//! A field of a body.

use super::fields::FIELDS;
use super::since::Since;

/// A field of a schema of Firecracker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The schema, as Firecracker's specification names it.
    pub schema: &'static str,
    /// The field, as it stands in JSON; empty for a schema that is one value.
    pub name: &'static str,
    /// What it holds, as far as that matters to what a version can take.
    pub kind: FieldKind,
    /// Which versions have it.
    pub since: Since,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// A value that every version takes which has the field.
    Plain,
    /// One of several words, of which these are younger than the field.
    Choice(&'static [(&'static str, Since)]),
    /// A value of another schema, or several in a list.
    Of(&'static str),
}

impl Field {
    /// The fields of a schema.
    pub fn of(schema: &str) -> impl Iterator<Item = &'static Self> {
        FIELDS.iter().filter(move |field| field.schema == schema)
    }
}
