//! Firecracker's forms of refusal, read leniently.

use std::borrow::Cow;

use serde::Deserialize;

use super::Answer;

/// What is quoted of a body in which no message was found.
const QUOTE_LIMIT: usize = 512;

/// What only the body of a handler's refusal holds.
const HANDLERS_KEY: &[u8] = b"\"fault_message\"";

#[derive(Deserialize)]
struct Fault {
    /// Of Firecracker's own handlers. Its HTTP layer says `error` instead.
    #[serde(alias = "error")]
    fault_message: String,
}

impl Answer {
    /// Why Firecracker refused, in its own words, from any form that its refusals take; quoted as
    /// it is where no form fits, at most 512 bytes of it. Never empty.
    #[must_use]
    pub fn fault_message(&self) -> String {
        fault_message(&self.body)
    }

    /// Whether Firecracker's HTTP layer refused, rather than one of its handlers. It says so by
    /// another name for the message, and closes the connection without announcing it.
    pub(super) fn is_of_http_layer(&self) -> bool {
        !self.is_success() && !self.body.windows(HANDLERS_KEY.len()).any(|key| key == HANDLERS_KEY)
    }
}

/// The message in the body of a refusal.
///
/// Firecracker's HTTP layer puts a raw newline into its JSON string, which is not JSON, and other
/// servers answer anything: what holds no message is quoted as it is.
fn fault_message(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let parsed = serde_json::from_str::<Fault>(&text)
        .or_else(|_| serde_json::from_str::<Fault>(&escape_controls(&text)));
    let message = match &parsed {
        Ok(fault) => fault.fault_message.trim(),
        Err(_) => quote(text.trim()),
    };
    if message.is_empty() { "no reason was given".to_owned() } else { message.to_owned() }
}

/// Called on text that is not JSON as it stands: its control characters stand inside strings.
fn escape_controls(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_control) {
        Cow::Owned(text.chars().flat_map(escape_control).collect())
    } else {
        Cow::Borrowed(text)
    }
}

fn escape_control(c: char) -> impl Iterator<Item = char> {
    let (first, second) = match c {
        '\n' => ('\\', Some('n')),
        c if c.is_control() => (' ', None),
        c => (c, None),
    };
    std::iter::once(first).chain(second)
}

fn quote(text: &str) -> &str {
    &text[..text.floor_char_boundary(QUOTE_LIMIT)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_the_message_of_firecrackers_handlers() {
        assert_eq!(fault_message(br#"{"fault_message":"no such drive"}"#), "no such drive");
    }

    #[test]
    fn reads_the_message_of_its_http_layer_despite_the_raw_newline() {
        let body = b"{ \"error\": \"Invalid request.\nAll previous unanswered requests will be \
                     dropped.\" }";
        assert_eq!(
            fault_message(body),
            "Invalid request.\nAll previous unanswered requests will be dropped."
        );
    }

    #[test]
    fn quotes_a_body_that_holds_no_message() {
        assert_eq!(fault_message(b"  go away \r\n"), "go away");
        assert_eq!(fault_message(br#"{"fault_message":7}"#), r#"{"fault_message":7}"#);
    }

    #[test]
    fn says_so_when_there_is_no_reason() {
        assert_eq!(fault_message(b""), "no reason was given");
        assert_eq!(fault_message(br#"{"error":""}"#), "no reason was given");
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_message_of_bounded_length(body in proptest::collection::vec(any::<u8>(), 0..2048)) {
            let message = fault_message(&body);
            prop_assert!(!message.is_empty());
            prop_assert!(message.len() <= QUOTE_LIMIT.max(body.len()));
        }
    }
}
