//! The API client against a server that plays a Firecracker with faults.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is how these tests fail")]

mod admission;
mod broken_firecracker;
mod faults;

use std::time::Duration;

use serde_json::Value;
use smartvm_firecracker::{AnswerError, ApiClient, ApiError, ExchangeError, FirecrackerVersion};

use broken_firecracker::{Act, BrokenFirecracker, answer, bytes, version_answer};

/// Long enough for the server to get the request on a busy machine.
const SHORT: Duration = Duration::from_millis(200);

async fn client(server: &BrokenFirecracker) -> ApiClient {
    ApiClient::connect(&server.socket()).await.unwrap()
}

/// The error of one request to a server that acts like this on its only connection.
async fn failure(act: Act) -> ApiError {
    let server = BrokenFirecracker::serve(vec![vec![act]]);
    let error = client(&server).await.get::<Value>("/").await.unwrap_err();
    assert_eq!(server.requests(), ["get / http/1.1"], "the request was made once");
    error
}

#[tokio::test]
async fn requests_share_one_connection() {
    let server = BrokenFirecracker::serve(vec![vec![
        version_answer("1.12.1"),
        answer("204 No Content", ""),
        version_answer("1.12.1"),
    ]]);
    let client = client(&server).await;
    assert_eq!(client.version().await.unwrap(), FirecrackerVersion::new(1, 12, 1));
    client.instance_start().await.unwrap();
    client.version().await.unwrap();
    assert_eq!(
        server.requests(),
        ["get /version http/1.1", "put /actions http/1.1", "get /version http/1.1"]
    );
}

#[tokio::test]
async fn clones_that_ask_at_once_get_their_own_answers() {
    let versions = ["1.1.0", "1.2.0", "1.3.0", "1.4.0"];
    let server = BrokenFirecracker::serve(vec![versions.map(version_answer).to_vec()]);
    let client = client(&server).await;
    let (a, b, c, d) =
        tokio::join!(client.version(), client.version(), client.version(), client.version());
    let answered = [a, b, c, d].map(|answer| answer.unwrap().to_string());
    assert_eq!(answered, versions);
}

#[tokio::test]
async fn a_refusal_carries_firecrackers_words_and_the_request() {
    let server = BrokenFirecracker::serve(vec![vec![answer(
        "400 Bad Request",
        r#"{"fault_message":"no such kernel"}"#,
    )]]);
    let error = client(&server).await.instance_start().await.unwrap_err();
    assert_eq!(error.code(), "API_REFUSED");
    assert_eq!(error.to_string(), "PUT /actions was refused with status 400: no such kernel");
}

#[tokio::test]
async fn a_refusal_without_reason_phrase_is_read_and_its_closed_connection_replaced() {
    let full = "HTTP/1.1 503\r\nConnection: close\r\nContent-Length: 34\r\n\r\n\
                { \"error\": \"Too many connections\"}";
    let server = BrokenFirecracker::serve(vec![
        vec![Act::Answer(full.into())],
        vec![version_answer("1.12.1")],
    ]);
    let client = client(&server).await;
    let error = client.version().await.unwrap_err();
    assert!(matches!(error, ApiError::Refused { status: 503, .. }), "{error:?}");
    assert!(error.to_string().ends_with("Too many connections"), "{error}");
    assert!(error.hint().is_some());
    client.version().await.unwrap();
}

#[tokio::test]
async fn a_connection_closed_while_idle_is_replaced_before_the_next_request() {
    let server = BrokenFirecracker::serve(vec![
        vec![version_answer("1.1.0")],
        vec![version_answer("1.2.0")],
    ]);
    let client = client(&server).await;
    client.version().await.unwrap();
    server.closed(1).await;
    assert_eq!(client.version().await.unwrap().to_string(), "1.2.0");
}

#[tokio::test]
async fn a_request_that_may_have_been_applied_is_not_repeated() {
    let server = BrokenFirecracker::serve(vec![
        vec![Act::Answer(Vec::new())],
        vec![answer("204 No Content", "")],
    ]);
    let client = client(&server).await;
    let error = client.instance_start().await.unwrap_err();
    assert_eq!(error.code(), "SOCKET_REQUEST_FAILED");
    assert_eq!(server.requests(), ["put /actions http/1.1"]);
}

#[tokio::test]
async fn half_an_answer_is_a_failure() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{\"firecracker".to_vec();
    assert_eq!(failure(Act::Answer(half)).await.code(), "SOCKET_REQUEST_FAILED");
    let less = b"HTTP/1.1 200 OK\r\nContent-".to_vec();
    assert_eq!(failure(Act::Answer(less)).await.code(), "SOCKET_REQUEST_FAILED");
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_a_failure() {
    let garbage = b"\x7fELF\0\0\0\0SSH-2.0-OpenSSH\r\n\r\n".to_vec();
    assert_eq!(failure(Act::Answer(garbage)).await.code(), "SOCKET_REQUEST_FAILED");
}

#[tokio::test]
async fn an_answer_that_is_not_json_is_a_failure() {
    let error = failure(answer("200 OK", "{\"firecracker_version\": ")).await;
    assert_eq!(error.code(), "SOCKET_REQUEST_FAILED");
    let ApiError::Exchange { source, .. } = error else { panic!("{error:?}") };
    assert!(matches!(source, ExchangeError::Unexpected(_)), "{source:?}");
}

#[tokio::test]
async fn an_answer_beyond_every_measure_is_not_read_to_its_end() {
    let announced = "HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\nx".to_owned();
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(2 << 20));
    for huge in [announced, endless] {
        let error = failure(Act::Answer(huge.into())).await;
        let ApiError::Exchange { source, .. } = error else { panic!("{error:?}") };
        let ExchangeError::Answer(source) = source else { panic!("{source:?}") };
        assert!(matches!(source, AnswerError::BodyTooLong { .. }), "{source:?}");
    }
}

#[tokio::test]
async fn headers_without_end_are_a_failure() {
    let headers = format!("HTTP/1.1 200 OK\r\n{}", "X-More: of the same\r\n".repeat(100_000));
    assert_eq!(failure(Act::Answer(headers.into())).await.code(), "SOCKET_REQUEST_FAILED");
}

#[tokio::test]
async fn an_answer_that_never_comes_ends_at_the_deadline() {
    let server = BrokenFirecracker::serve(vec![vec![Act::Ignore], vec![version_answer("1.12.1")]]);
    let client = client(&server).await;
    let error = client.clone().with_deadline(SHORT).instance_start().await.unwrap_err();
    assert_eq!(error.code(), "API_TIMEOUT");
    // The other clone finds the shared connection gone and opens another.
    client.version().await.unwrap();
}

#[tokio::test]
async fn a_late_answer_is_not_taken_for_another_requests() {
    let server = BrokenFirecracker::serve(vec![
        vec![Act::AnswerWhenReleased(bytes("200 OK", r#"{"firecracker_version":"1.1.0"}"#))],
        vec![version_answer("1.2.0")],
    ]);
    let client = client(&server).await;
    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.version().await }
    });
    while server.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    server.release();
    assert_eq!(client.version().await.unwrap().to_string(), "1.2.0");
}

#[tokio::test]
async fn bytes_that_nobody_asked_for_are_not_taken_for_an_answer() {
    let mut twice = bytes("200 OK", r#"{"firecracker_version":"1.1.0"}"#);
    twice.extend(bytes("200 OK", r#"{"firecracker_version":"6.6.6"}"#));
    let server = BrokenFirecracker::serve(vec![
        vec![Act::Answer(twice), Act::Ignore],
        vec![version_answer("1.2.0")],
    ]);
    let client = client(&server).await;
    assert_eq!(client.version().await.unwrap().to_string(), "1.1.0");
    assert_eq!(client.version().await.unwrap().to_string(), "1.2.0");
}

#[tokio::test]
async fn a_path_that_cannot_be_sent_is_refused_before_anything_is_sent() {
    let server = BrokenFirecracker::serve(vec![vec![version_answer("1.12.1")]]);
    let client = client(&server).await;
    let error = client.get::<Value>("/drives/a b").await.unwrap_err();
    assert_eq!(error.code(), "API_REQUEST_INVALID");
    client.version().await.unwrap();
    assert_eq!(server.requests(), ["get /version http/1.1"]);
}

#[tokio::test]
async fn a_socket_without_listener_cannot_be_connected_to() {
    let dir = tempfile::tempdir().unwrap();
    let error = ApiClient::connect(&dir.path().join("socket")).await.unwrap_err();
    assert_eq!(error.code(), "SOCKET_CONNECT_FAILED");
}

#[tokio::test]
async fn a_socket_of_another_process_gets_no_request() {
    let server = BrokenFirecracker::serve(vec![vec![version_answer("1.12.1")], vec![]]);
    let us = std::process::id();
    let refused = ApiClient::connect_to(&server.socket(), us + 1).await.unwrap_err();
    assert_eq!(refused.code(), "SOCKET_CONNECT_FAILED");
    assert!(server.requests().is_empty());
    ApiClient::connect_to(&server.socket(), us).await.unwrap();
}
