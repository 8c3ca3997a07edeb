//! JSON without a key that stands twice.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Reads a value. A byte order mark, as some editors write it, is skipped.
///
/// # Errors
/// When the text is not JSON, or an object in it has a key twice. The error tells line and column.
pub fn value(text: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice::<Strict>(without_mark(text)).map(|strict| strict.0)
}

/// Reads an object.
///
/// # Errors
/// As [`value`], and when it is something else.
pub fn object(text: &[u8]) -> Result<Map<String, Value>, serde_json::Error> {
    match value(text)? {
        Value::Object(object) => Ok(object),
        other => Err(serde_json::Error::custom(format!(
            "{} stands where an object is expected",
            kind_of(&other)
        ))),
    }
}

/// The text behind its byte order mark, if it has one.
pub(crate) fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text)
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A value in which no key stands twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(A::Error::custom(format!("the key `{key}` stands there twice")));
            }
            let Strict(value) = entries.next_value()?;
            object.insert(key, value);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_that_stands_twice_is_refused_with_its_line() {
        for text in [
            "{\"a\":true,\n\"a\":false}",
            "{\"x\":[{\"a\":1,\n\"a\":1}]}",
            // The same key in another way of writing it.
            "{\"a\":1,\n\"\\u0061\":2}",
        ] {
            let error = value(text.as_bytes()).unwrap_err();
            assert!(error.to_string().contains("the key `a` stands there twice"), "{error}");
            assert_eq!(error.line(), 2, "{error}");
        }
        value(b"{\"a\":{\"a\":1},\"b\":{\"a\":1}}").unwrap();
    }

    #[test]
    fn a_byte_order_mark_is_skipped_and_other_things_than_objects_are_told() {
        assert_eq!(object("\u{feff}{\"a\":1}".as_bytes()).unwrap()["a"], 1);
        let error = object(b"[1]").unwrap_err();
        assert!(error.to_string().starts_with("a list stands where"), "{error}");
    }

    proptest! {
        #[test]
        fn what_has_no_key_twice_is_read_as_by_anybody(text in "[\\[\\]{}:,\"a-c0-9. \\\\u-]{0,40}") {
            if let Ok(read) = value(text.as_bytes()) {
                prop_assert_eq!(read, serde_json::from_str::<Value>(&text).unwrap());
            }
        }
    }
}
