use proptest::prelude::*;

use super::*;

fn whole(text: &str) -> Answer {
    let (answer, length) = Answer::parse(text.as_bytes(), false).unwrap().unwrap();
    assert_eq!(length, text.len());
    answer
}

fn refused(text: &str) -> AnswerError {
    Answer::parse(text.as_bytes(), true).unwrap_err()
}

#[test]
fn success_has_no_body_when_there_is_nothing_to_say() {
    let answer =
        whole("HTTP/1.1 204 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!((answer.status, answer.body.len(), answer.closes), (204, 0, false));
    assert!(answer.is_success());
}

#[test]
fn a_status_line_without_a_reason_is_read() {
    let text = "HTTP/1.1 503\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
    assert_eq!(whole(text), Answer { status: 503, body: b"{}".to_vec(), closes: true });
}

#[test]
fn an_answer_without_a_length_ends_with_the_connection() {
    let text = b"HTTP/1.1 200 OK\r\n\r\nabc";
    assert_eq!(Answer::parse(text, false), Ok(None));
    let (answer, _) = Answer::parse(text, true).unwrap().unwrap();
    assert_eq!((answer.body, answer.closes), (b"abc".to_vec(), true));
}

#[test]
fn a_length_must_be_one_number() {
    for lengths in [
        "Content-Length: 1\r\nContent-Length: 2",
        "Content-Length: +1",
        "Content-Length: -1",
        "Content-Length: 1x",
        "Content-Length:",
        "Content-Length: 1, 1",
    ] {
        let text = format!("HTTP/1.1 200 OK\r\n{lengths}\r\n\r\nab");
        assert_eq!(refused(&text), AnswerError::LengthUnclear, "{lengths}");
    }
    whole("HTTP/1.1 200 OK\r\nContent-Length: 1\r\ncontent-length: 1\r\n\r\na");
}

#[test]
fn what_is_too_long_is_refused_before_it_came() {
    for length in ["1048577", "99999999999999999999999999"] {
        let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        assert_eq!(refused(&text), AnswerError::BodyTooLong { limit: BODY_LIMIT });
    }
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(BODY_LIMIT + 1));
    assert_eq!(refused(&endless), AnswerError::BodyTooLong { limit: BODY_LIMIT });
    let headers = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(HEAD_LIMIT));
    assert_eq!(refused(&headers), AnswerError::HeadTooLong { limit: HEAD_LIMIT });
    let headers = format!("HTTP/1.1 200 OK\r\n{}", "X: y\r\n".repeat(HEADERS_LIMIT + 1));
    assert_eq!(refused(&headers), AnswerError::HeadTooLong { limit: HEAD_LIMIT });
}

#[test]
fn what_firecracker_never_sends_is_refused() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    assert_eq!(refused(chunked), AnswerError::TransferEncoding);
    assert_eq!(refused("HTTP/1.1 100 Continue\r\n\r\n"), AnswerError::NotFinal { status: 100 });
    assert!(matches!(refused("SSH-2.0-OpenSSH\r\n"), AnswerError::NotHttp(_)));
}

proptest! {
    #[test]
    fn any_split_of_an_answer_reads_as_the_whole(
        status in 200_u16..600, body in proptest::collection::vec(any::<u8>(), 0..200), at: proptest::sample::Index
    ) {
        prop_assume!(status != 204 && status != 304);
        let mut bytes = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len())
            .into_bytes();
        bytes.extend(&body);
        let split = at.index(bytes.len());
        prop_assert_eq!(Answer::parse(&bytes[..split], false).unwrap(), None);
        let (answer, length) = Answer::parse(&bytes, false).unwrap().unwrap();
        prop_assert_eq!((answer.status, answer.body, length), (status, body, bytes.len()));
    }

    #[test]
    fn no_bytes_make_the_parser_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300), ended: bool
    ) {
        if let Ok(Some((answer, length))) = Answer::parse(&bytes, ended) {
            prop_assert!(length <= bytes.len() && answer.body.len() < length);
        }
    }
}
