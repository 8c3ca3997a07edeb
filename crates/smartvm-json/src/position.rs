//! Where a value stands in a text.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_path_to_error::{Path, Segment};

/// Line and column, from one, of the value at `path`, or of the innermost value on the way to it.
pub(crate) fn position(text: &str, path: &Path) -> (usize, usize) {
    let mut here = text;
    for segment in path {
        let inner = match segment {
            Segment::Map { key } => member(here, key),
            Segment::Seq { index } => item(here, *index),
            Segment::Enum { .. } | Segment::Unknown => None,
        };
        here = inner.unwrap_or(here);
    }
    // A part of the text, so that its address says where.
    let before = &text[..here.as_ptr().addr() - text.as_ptr().addr()];
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

fn member<'a>(object: &'a str, key: &str) -> Option<&'a str> {
    let members: BTreeMap<String, &'a RawValue> = serde_json::from_str(object).ok()?;
    members.get(key).map(|value| value.get())
}

fn item(list: &str, index: usize) -> Option<&str> {
    let items: Vec<&RawValue> = serde_json::from_str(list).ok()?;
    items.get(index).map(|value| value.get())
}
