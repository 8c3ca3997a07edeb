//! What the answer to a request for a file means.

use reqwest::StatusCode;
use reqwest::header::{self, HeaderMap};

/// What is to be done with the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It is the whole file.
    Whole {
        /// How many bytes the file has; none when the server does not say.
        total: Option<u64>,
    },
    /// It is the rest of the file.
    Rest {
        /// How many bytes the whole file has; none when the server does not say.
        total: Option<u64>,
    },
    /// There is nothing behind the bytes that are there: they are all.
    Nothing,
    /// The bytes that are there are of another file: begin again.
    Restart,
    /// The server will not give it.
    Refused(u16),
    /// It makes no sense.
    Bad(String),
}

/// Reads status and headers of an answer to a request for the bytes from `from` on.
pub(super) fn meaning(status: StatusCode, headers: &HeaderMap, from: u64) -> Meaning {
    let encoding = text(headers, &header::CONTENT_ENCODING).unwrap_or("identity");
    if status.is_success() && encoding != "identity" {
        return Meaning::Bad("it is encoded, which was not asked for".to_owned());
    }
    match status {
        StatusCode::OK => Meaning::Whole { total: length(headers) },
        StatusCode::PARTIAL_CONTENT if from > 0 => {
            let range = text(headers, &header::CONTENT_RANGE).and_then(ContentRange::parse);
            match range {
                Some(range) if range.first == from => {
                    let promised = range.last.checked_sub(range.first).map(|n| n + 1);
                    if length(headers).is_some_and(|length| Some(length) != promised) {
                        return Meaning::Bad("its length is not that of its range".to_owned());
                    }
                    // A server may send less than asked for; the rest is asked for then.
                    Meaning::Rest { total: range.total }
                }
                Some(_) | None => Meaning::Restart,
            }
        }
        StatusCode::PARTIAL_CONTENT => Meaning::Bad("it is a part, of what was all".to_owned()),
        StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => {
            let range = text(headers, &header::CONTENT_RANGE);
            let total = range.and_then(|range| range.strip_prefix("bytes */")?.parse().ok());
            if total == Some(from) { Meaning::Nothing } else { Meaning::Restart }
        }
        status if status.is_success() => Meaning::Bad(format!("the status is {status}")),
        status => Meaning::Refused(status.as_u16()),
    }
}

/// Whether the end of the body can be told from its being cut off.
pub(super) fn has_an_end(headers: &HeaderMap, is_http1: bool) -> bool {
    !is_http1
        || length(headers).is_some()
        || text(headers, &header::TRANSFER_ENCODING).is_some_and(|coding| coding == "chunked")
}

/// What must be the same for the rest of a file to fit: a strong tag, else the date of its last change.
pub(super) fn validator(headers: &HeaderMap) -> Option<String> {
    let tag = text(headers, &header::ETAG).filter(|tag| tag.starts_with('"'));
    tag.or_else(|| text(headers, &header::LAST_MODIFIED)).map(str::to_owned)
}

/// After how many seconds the server wants to be asked again.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<u64> {
    text(headers, &header::RETRY_AFTER)?.parse().ok()
}

fn length(headers: &HeaderMap) -> Option<u64> {
    text(headers, &header::CONTENT_LENGTH)?.parse().ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

struct ContentRange {
    first: u64,
    last: u64,
    total: Option<u64>,
}

impl ContentRange {
    fn parse(text: &str) -> Option<Self> {
        let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let total = if total == "*" { None } else { Some(total.parse().ok()?) };
        let range = Self { first: first.parse().ok()?, last: last.parse().ok()?, total };
        let fits = range.first <= range.last && total.is_none_or(|total| range.last < total);
        fits.then_some(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], from: u64) -> Meaning {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        meaning(StatusCode::from_u16(status).unwrap(), &map, from)
    }

    #[test]
    fn an_answer_is_whole_or_the_rest_of_what_was_asked_for() {
        assert_eq!(answer(200, &[("content-length", "9")], 0), Meaning::Whole { total: Some(9) });
        assert_eq!(answer(200, &[("content-length", "9")], 4), Meaning::Whole { total: Some(9) });
        let range = [("content-range", "bytes 4-8/9"), ("content-length", "5")];
        assert_eq!(answer(206, &range, 4), Meaning::Rest { total: Some(9) });
        assert_eq!(
            answer(206, &[("content-range", "bytes 4-8/*")], 4),
            Meaning::Rest { total: None }
        );
    }

    #[test]
    fn a_wrong_range_means_to_begin_again() {
        for range in
            ["bytes 0-8/9", "bytes 5-8/9", "bytes 4-9/9", "bytes 4-2/9", "bytes x", "4-8/9"]
        {
            assert_eq!(answer(206, &[("content-range", range)], 4), Meaning::Restart, "{range}");
        }
        assert_eq!(answer(206, &[], 4), Meaning::Restart);
        assert_eq!(answer(416, &[("content-range", "bytes */3")], 4), Meaning::Restart);
        assert_eq!(answer(416, &[("content-range", "bytes */4")], 4), Meaning::Nothing);
    }

    #[test]
    fn what_was_not_asked_for_is_not_used() {
        assert!(matches!(answer(206, &[("content-range", "bytes 0-8/9")], 0), Meaning::Bad(_)));
        assert!(matches!(answer(204, &[], 0), Meaning::Bad(_)));
        assert!(matches!(answer(200, &[("content-encoding", "gzip")], 0), Meaning::Bad(_)));
        let range = [("content-range", "bytes 4-8/9"), ("content-length", "4")];
        assert!(matches!(answer(206, &range, 4), Meaning::Bad(_)));
        assert_eq!(answer(404, &[], 0), Meaning::Refused(404));
        assert_eq!(answer(503, &[], 4), Meaning::Refused(503));
    }

    #[test]
    fn a_weak_tag_does_not_make_a_rest_fit() {
        let mut map = HeaderMap::new();
        map.insert("etag", "W/\"a\"".parse().unwrap());
        assert_eq!(validator(&map), None);
        map.insert("last-modified", "Tue, 24 Nov 2026 00:00:00 GMT".parse().unwrap());
        assert_eq!(validator(&map).as_deref(), Some("Tue, 24 Nov 2026 00:00:00 GMT"));
        map.insert("etag", "\"a\"".parse().unwrap());
        assert_eq!(validator(&map).as_deref(), Some("\"a\""));
    }
}
