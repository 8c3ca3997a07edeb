//! One line of Firecracker's log.

use std::fmt;

/// How bad it is, as Firecracker says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// For Firecracker's developers, in full.
    Trace,
    /// For Firecracker's developers.
    Debug,
    /// What happens.
    Info,
    /// What looks wrong.
    Warn,
    /// What failed.
    Error,
}

impl Severity {
    /// As Firecracker spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error]
            .into_iter()
            .find(|severity| severity.as_str() == text)
    }
}

/// A line of Firecracker's log, taken apart:
/// `TIME [INSTANCE:THREAD:LEVEL:FILE:NUMBER] MESSAGE`.
///
/// A line of another form, as a message's further lines and a panic's are, is all message. Its
/// [`Display`](fmt::Display) is the line as Firecracker wrote it.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct LogLine {
    /// The host's local time to the nanosecond, as Firecracker writes it.
    pub time: Option<String>,
    /// The `--id` of the Firecracker.
    pub instance: Option<String>,
    /// The thread: `main`, `fc_api`, `fc_vcpu 0` and so on.
    pub thread: Option<String>,
    /// How bad it is, when the log shows levels.
    pub level: Option<Severity>,
    /// The place in Firecracker's source, when the log shows it: `src/vmm/src/builder.rs:359`.
    pub origin: Option<String>,
    /// What is said. Parts of it may come from the guest or from API requests.
    pub message: String,
}

impl LogLine {
    /// Takes a line apart, which may be any bytes. What is not UTF-8 is replaced.
    #[must_use]
    pub fn parse(line: &[u8]) -> Self {
        let text = String::from_utf8_lossy(line);
        parse(&text).unwrap_or_else(|| Self { message: text.into_owned(), ..Self::default() })
    }

    /// The line without its level, as Firecracker writes it when it is not to show levels.
    #[must_use]
    pub fn without_level(mut self) -> Self {
        self.level = None;
        self
    }

    /// How much memory it takes, about.
    pub(super) fn weight(&self) -> usize {
        let texts = [&self.time, &self.instance, &self.thread, &self.origin];
        let texts: usize = texts.iter().filter_map(|text| text.as_ref()).map(String::len).sum();
        size_of::<Self>() + texts + self.message.len()
    }
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(time), Some(instance), Some(thread)) =
            (&self.time, &self.instance, &self.thread)
        {
            write!(f, "{time} [{instance}:{thread}")?;
            if let Some(level) = self.level {
                write!(f, ":{}", level.as_str())?;
            }
            if let Some(origin) = &self.origin {
                write!(f, ":{origin}")?;
            }
            f.write_str("] ")?;
        }
        f.write_str(&self.message)
    }
}

fn parse(line: &str) -> Option<LogLine> {
    let (time, rest) = line.split_once(" [")?;
    if !is_time(time) {
        return None;
    }
    // No part of it can have a bracket in it, but the message can.
    let (place, message) = rest.split_once("] ")?;
    let (instance, place) = place.split_once(':')?;
    let (thread, place) = match place.split_once(':') {
        Some((thread, place)) => (thread, Some(place)),
        None => (place, None),
    };
    let (level, origin) = match place {
        None => (None, None),
        Some(place) => {
            let (first, rest) = place.split_once(':').unwrap_or((place, ""));
            match Severity::parse(first) {
                Some(level) => (Some(level), (!rest.is_empty()).then_some(rest)),
                None => (None, Some(place)),
            }
        }
    };
    Some(LogLine {
        time: Some(time.to_owned()),
        instance: Some(instance.to_owned()),
        thread: Some(thread.to_owned()),
        level,
        origin: origin.map(str::to_owned),
        message: message.to_owned(),
    })
}

/// `2026-11-23T23:24:43.621206391`
fn is_time(text: &str) -> bool {
    let shape = b"dddd-dd-ddTdd:dd:dd.";
    text.len() > shape.len()
        && text.bytes().enumerate().all(|(at, byte)| match shape.get(at) {
            None | Some(b'd') => byte.is_ascii_digit(),
            Some(expected) => byte == *expected,
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Lines of Firecracker 1.12.1.
    const REAL: &str = include_str!("../../tests/data/log-1.12.1.txt");

    #[test]
    fn a_whole_line_is_taken_apart() {
        let line = LogLine::parse(
            b"2026-11-23T23:24:43.755293834 [a-b:fc_vcpu 0:WARN:src/vmm/vcpu.rs:391] [x] y: z",
        );
        assert_eq!(line.time.as_deref(), Some("2026-11-23T23:24:43.755293834"));
        assert_eq!(line.instance.as_deref(), Some("a-b"));
        assert_eq!(line.thread.as_deref(), Some("fc_vcpu 0"));
        assert_eq!(line.level, Some(Severity::Warn));
        assert_eq!(line.origin.as_deref(), Some("src/vmm/vcpu.rs:391"));
        assert_eq!(line.message, "[x] y: z");
    }

    #[test]
    fn level_and_origin_may_each_be_absent() {
        let place = |place: &str| {
            let line = LogLine::parse(format!("2026-11-23T23:24:43.7 [{place}] m").as_bytes());
            (line.level, line.origin)
        };
        assert_eq!(place("id:main"), (None, None));
        assert_eq!(place("id:main:ERROR"), (Some(Severity::Error), None));
        assert_eq!(place("id:main:src/a.rs:1"), (None, Some("src/a.rs:1".into())));
    }

    #[test]
    fn another_line_is_all_message() {
        for text in ["", "thread 'main' panicked", "2026 [a:b] c", "x [a:b] c", "[a:b:INFO] c"] {
            let expected = LogLine { message: text.into(), ..LogLine::default() };
            assert_eq!(LogLine::parse(text.as_bytes()), expected);
        }
        assert_eq!(LogLine::parse(b"\xff").message, "\u{fffd}");
    }

    #[test]
    fn real_lines_are_taken_apart_and_put_together_again() {
        for text in REAL.lines() {
            let line = LogLine::parse(text.as_bytes());
            assert_eq!(line.instance.as_deref(), Some("anx"), "{text}");
            assert!(line.level.is_some(), "{text}");
            assert_eq!(line.to_string(), text);
        }
        let quiet = LogLine::parse(b"2026-11-23T23:24:43.7 [id:main:INFO] m").without_level();
        assert_eq!(quiet.to_string(), "2026-11-23T23:24:43.7 [id:main] m");
    }

    proptest! {
        #[test]
        fn any_text_comes_out_as_it_went_in(text in "([0-9T:.\\-]{0,30} )?(\\[[a-z:A-Z]{0,20}\\] )?\\PC{0,20}") {
            prop_assert_eq!(LogLine::parse(text.as_bytes()).to_string(), text);
        }

        #[test]
        fn any_bytes_are_a_line(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = LogLine::parse(&bytes);
        }

        #[test]
        fn what_looks_like_a_line_comes_out_as_it_went_in(
            place in "[a-c:INFO/\\.1\\] ]{0,16}", message in "[a-c:\\]\\[ ]{0,10}",
        ) {
            let text = format!("2026-11-23T23:24:43.7 [{place}] {message}");
            prop_assert_eq!(LogLine::parse(text.as_bytes()).to_string(), text);
        }
    }
}
