//! Making a type of JSON, with all that does not fit told at once.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use crate::position::position;
use crate::strict::{object, without_mark};

/// As many misfits are told at once.
const MOST: usize = 32;

/// Of a larger text only the first is told: each further one means reading it again.
const LARGE: usize = 64 << 10;

/// What was read.
#[derive(Debug)]
#[non_exhaustive]
pub struct Read<T> {
    /// The value.
    pub value: T,
    /// The places of keys that nobody reads, as `serde_ignored` names them.
    pub ignored: Vec<String>,
}

/// A value that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Misfit {
    /// Its place, such as `drives[1].driveId`.
    pub path: String,
    /// What is wrong with it, as a phrase that follows the place.
    pub problem: String,
    /// Its line in the text, from one; of a key that is missing, that of the object.
    pub line: usize,
    /// Its column, from one.
    pub column: usize,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, problem, line, column } = self;
        write!(f, "{path} {problem} (line {line}, column {column})")
    }
}

/// Text that cannot be read as what it is to be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadJsonError {
    /// It is not JSON, not an object, or has a key twice.
    #[error(transparent)]
    Syntax(#[from] serde_json::Error),
    /// Values in it do not fit.
    #[error("values do not fit")]
    Misfits {
        /// All of them; of a text of more than 64 KiB the first.
        misfits: Vec<Misfit>,
        /// The places of keys that nobody reads, as far as they were seen.
        ignored: Vec<String>,
    },
}

/// Reads an object as a `T`.
///
/// # Errors
/// When the text is no such object. A value that does not fit is replaced by one that does, to see what else does
/// not.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<Read<T>, ReadJsonError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut whole = Value::Object(object(without_mark(text.as_bytes()))?);
    let (mut misfits, mut ignored) = (Vec::new(), BTreeSet::new());
    loop {
        let failed = match attempt::<T>(&whole, &mut ignored) {
            Ok(value) if misfits.is_empty() => {
                return Ok(Read { value, ignored: ignored.into_iter().collect() });
            }
            Ok(_) => break,
            Err(failed) => failed,
        };
        // What was put in the place of something is no mistake of the text's.
        let is_ours =
            misfits.iter().any(|misfit: &Misfit| is_within(&failed.place(), &misfit.path));
        if !is_ours {
            misfits.push(failed.misfit(text));
        }
        if text.len() > LARGE || misfits.len() == MOST || !mend::<T>(&mut whole, &failed) {
            break;
        }
    }
    misfits.sort_by_key(|misfit| (misfit.line, misfit.column));
    Err(ReadJsonError::Misfits { misfits, ignored: ignored.into_iter().collect() })
}

/// Why an attempt failed, and where.
struct Failed {
    path: Path,
    /// The key that is missing in what is there.
    missing: Option<String>,
    message: String,
}

impl Failed {
    fn misfit(&self, text: &str) -> Misfit {
        let (line, column) = position(text, &self.path);
        let problem = match &self.missing {
            Some(_) => "is missing".to_owned(),
            None => format!("does not fit: {}", self.message),
        };
        Misfit { path: self.place(), problem, line, column }
    }

    /// What does not fit, or is missing.
    fn place(&self) -> String {
        let place = self.path.to_string();
        let place = if place == "." { String::new() } else { place };
        match &self.missing {
            Some(key) if place.is_empty() => key.clone(),
            Some(key) => format!("{place}.{key}"),
            None => place,
        }
    }
}

fn is_within(place: &str, whole: &str) -> bool {
    let rest = place.strip_prefix(whole);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

fn attempt<T: DeserializeOwned>(
    value: &Value,
    ignored: &mut BTreeSet<String>,
) -> Result<T, Failed> {
    let mut note = |path: serde_ignored::Path<'_>| {
        ignored.insert(path.to_string());
    };
    let noting = serde_ignored::Deserializer::new(value, &mut note);
    serde_path_to_error::deserialize(noting).map_err(|error| {
        let message = error.inner().to_string();
        let missing = message.strip_prefix("missing field `").and_then(|it| it.strip_suffix('`'));
        Failed { missing: missing.map(str::to_owned), path: error.path().clone(), message }
    })
}

/// Puts something that fits in the place of what does not; false when nothing does.
fn mend<T: DeserializeOwned>(whole: &mut Value, failed: &Failed) -> bool {
    let likely = [
        1.into(),
        "x".into(),
        true.into(),
        Value::Array(Vec::new()),
        Value::Object(Default::default()),
    ];
    for substitute in likely.into_iter().map(Some).chain([None]) {
        let mut trial = whole.clone();
        if !put(&mut trial, failed, substitute) {
            return false;
        }
        match attempt::<T>(&trial, &mut BTreeSet::new()) {
            Err(again) if again.place() == failed.place() => {}
            _ => {
                *whole = trial;
                return true;
            }
        }
    }
    false
}

/// Sets the value that does not fit, or takes it away.
fn put(whole: &mut Value, failed: &Failed, substitute: Option<Value>) -> bool {
    let mut keys: Vec<Segment> = failed.path.iter().cloned().collect();
    if let Some(key) = &failed.missing {
        keys.push(Segment::Map { key: key.clone() });
    }
    let Some(last) = keys.pop() else { return false };
    let mut here = whole;
    for segment in keys {
        let inner = match segment {
            Segment::Map { key } => here.get_mut(key),
            Segment::Seq { index } => here.get_mut(index),
            Segment::Enum { .. } | Segment::Unknown => None,
        };
        match inner {
            Some(inner) => here = inner,
            None => return false,
        }
    }
    match (here, last, substitute) {
        (Value::Object(object), Segment::Map { key }, Some(value)) => {
            object.insert(key, value);
            true
        }
        (Value::Object(object), Segment::Map { key }, None) => object.remove(&key).is_some(),
        (Value::Array(list), Segment::Seq { index }, Some(value)) if index < list.len() => {
            list[index] = value;
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
