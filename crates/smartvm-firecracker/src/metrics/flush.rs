//! One line of metrics.

use serde_json::Value;

/// Numbers taken from one line at most: five times what a VM with every device has.
pub(super) const MAX_METRICS: usize = 16 * 1024;

/// The longest name of a metric in bytes. Longer ones are left out.
const MAX_NAME: usize = 256;

/// How a line begins.
const BEGINNING: &[u8] = b"{\"utc_timestamp_ms\":";

/// The numbers of one line that Firecracker wrote, each with its dotted name: the names of the
/// JSON objects around it, as in `block_rootfs.read_agg.sum_us`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetricsFlush {
    /// When Firecracker wrote it, in milliseconds since 1970.
    pub timestamp_ms: u64,
    /// Name and number of each.
    pub values: Vec<(String, u64)>,
}

impl MetricsFlush {
    /// Reads a line, which may be any bytes. What is not a whole number of 0 or more is left out.
    ///
    /// Of a line that was interrupted by the next, as when the pipe was full, the latter is read.
    ///
    /// # Errors
    /// When it is not an object in JSON with a time.
    pub fn parse(line: &[u8]) -> Result<Self, ParseFlushError> {
        let object = match serde_json::from_slice::<Value>(line) {
            Ok(value) => value,
            Err(source) => match second(line) {
                Some(rest) => serde_json::from_slice(rest)?,
                None => return Err(source.into()),
            },
        };
        let timestamp = object.get("utc_timestamp_ms").and_then(Value::as_u64);
        let mut flush =
            Self { timestamp_ms: timestamp.ok_or(ParseFlushError::NoTime)?, values: Vec::new() };
        for (name, value) in object.as_object().into_iter().flatten() {
            if name != "utc_timestamp_ms" {
                flush.take(name, value);
            }
        }
        Ok(flush)
    }

    /// The value of the metric with this name, as this line has it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<u64> {
        self.values.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    fn take(&mut self, name: &str, value: &Value) {
        if name.len() > MAX_NAME {
            return;
        }
        if let Some(members) = value.as_object() {
            for (member, value) in members {
                if name.len() + 1 + member.len() <= MAX_NAME {
                    self.take(&format!("{name}.{member}"), value);
                }
            }
        } else if let Some(value) = value.as_u64()
            && self.values.len() < MAX_METRICS
        {
            self.values.push((name.to_owned(), value));
        }
    }
}

/// What begins anew within a line.
fn second(line: &[u8]) -> Option<&[u8]> {
    let at = line.windows(BEGINNING.len()).rposition(|window| window == BEGINNING)?;
    (at > 0).then(|| &line[at..])
}

/// A line that is not one of metrics.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseFlushError {
    /// It is not JSON.
    #[error("a line of metrics is not JSON")]
    NotJson(#[from] serde_json::Error),
    /// It is no object, or one without `utc_timestamp_ms`.
    #[error("a line of metrics has no time")]
    NoTime,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What Firecracker 1.12.1 wrote for a VM with one of each device.
    const REAL: &[u8] = include_bytes!("../../tests/data/metrics-1.12.1.json");

    #[test]
    fn a_line_of_the_real_firecracker_is_read() {
        let flush = MetricsFlush::parse(REAL).unwrap();
        assert_eq!(flush.timestamp_ms, 1_795_476_283_755);
        assert_eq!(flush.get("put_api_requests.drive_count"), Some(2));
        assert_eq!(flush.get("block_rootfs.read_agg.sum_us"), Some(0));
        assert_eq!(flush.get("utc_timestamp_ms"), None);
        assert!(flush.values.len() > 250, "{}", flush.values.len());
    }

    #[test]
    fn what_is_no_number_is_left_out() {
        let line = br#"{"utc_timestamp_ms":5,"id":"vm","properties":{"a":"b"},
            "x":{"minus":-1,"half":0.5,"list":[1],"none":null,"huge":99999999999999999999,"ok":7}}"#;
        let flush = MetricsFlush::parse(line).unwrap();
        assert_eq!(flush.values, [("x.ok".to_owned(), 7)]);
    }

    #[test]
    fn a_line_interrupted_by_the_next_costs_itself_only() {
        let next = br#"{"utc_timestamp_ms":5,"vcpu":{"failures":1}}"#;
        let joined = [&REAL[..3000], next].concat();
        assert_eq!(MetricsFlush::parse(&joined).unwrap(), MetricsFlush::parse(next).unwrap());
        assert!(MetricsFlush::parse(&REAL[..3000]).is_err());
    }

    #[test]
    fn names_cannot_take_more_memory_than_the_line_many_times_over() {
        let key = "k".repeat(200);
        let leaves: Vec<_> = (0..2000).map(|i| format!("\"leaf-number-{i:060}\":1")).collect();
        let line = format!(
            "{{\"utc_timestamp_ms\":1,\"{key}\":{{{}}},\"{}\":1}}",
            leaves.join(","),
            "n".repeat(300)
        );
        assert_eq!(MetricsFlush::parse(line.as_bytes()).unwrap().values, []);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = MetricsFlush::parse(&bytes);
        }

        #[test]
        fn a_damaged_line_is_read_or_refused(at in 0..REAL.len(), byte: u8) {
            let mut line = REAL.to_vec();
            line[at] = byte;
            if let Ok(flush) = MetricsFlush::parse(&line) {
                prop_assert!(flush.values.len() <= MAX_METRICS);
            }
        }
    }
}
