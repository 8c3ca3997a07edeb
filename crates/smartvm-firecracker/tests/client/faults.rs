//! Every way to be broken: a clear error within the deadline, no request made twice, and the next
//! one works.

use std::time::Duration;

use serde_json::Value;
use smartvm_firecracker::ApiClient;
use smartvm_firecracker::api::VmRunState;

use crate::broken_firecracker::{Act, BrokenFirecracker, answer, bytes, version_answer};

/// Far longer than anything here takes that is not meant to run into it.
const LONG: Duration = Duration::from_secs(60);

/// Long enough for the server to get the request on a busy machine.
const SHORT: Duration = Duration::from_millis(200);

/// Makes one request to a server that acts like this, then another; returns the code of the first
/// one's failure.
async fn code_of(act: Act, deadline: Duration) -> &'static str {
    let server = BrokenFirecracker::serve(vec![vec![act], vec![version_answer("1.12.1")]]);
    let client = ApiClient::connect(&server.socket()).await.unwrap().with_deadline(deadline);
    let error = client.request_that_changes().await.unwrap_err();
    assert!(!error.to_string().is_empty());
    let client = client.with_deadline(LONG);
    assert_eq!(client.version().await.unwrap().to_string(), "1.12.1", "after {error:?}");
    assert_eq!(
        server.requests(),
        ["patch /vm http/1.1", "get /version http/1.1"],
        "each request was made once"
    );
    error.code()
}

trait RequestThatChanges {
    /// A request that must not be applied twice, and whose answer is read as JSON.
    async fn request_that_changes(&self) -> Result<Option<Value>, smartvm_firecracker::ApiError>;
}

impl RequestThatChanges for ApiClient {
    async fn request_that_changes(&self) -> Result<Option<Value>, smartvm_firecracker::ApiError> {
        let body = serde_json::json!({"state": "Paused"});
        self.request(smartvm_firecracker::capability::Method::Patch, "/vm", Some(&body)).await
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_a_failed_exchange() {
    let head = |headers: &str| format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\n").into_bytes();
    let broken: [(&str, Act); 16] = [
        ("nothing at all", Act::Answer(Vec::new())),
        ("garbage", Act::Answer(b"\x7fELF\0\0\x01\xff\xfe\r\n\r\n".to_vec())),
        ("another protocol", Act::Answer(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec())),
        ("a head that is not HTTP", Act::Answer(b"HTTP/9.9 yes\r\n\r\n".to_vec())),
        ("endless garbage", Act::Repeat(vec![0; 4096])),
        ("endless headers", Act::Repeat(b"HTTP/1.1 200 OK\r\n".to_vec())),
        ("one endless header", Act::Answer([head("X: "), vec![b'x'; 1 << 17]].concat())),
        ("an endless body", Act::Repeat(bytes_without_length())),
        ("a huge body", Act::Answer(head("Content-Length: 99999999999999999999"))),
        ("no number as length", Act::Answer(head("Content-Length: many"))),
        ("two lengths", Act::Answer(head("Content-Length: 1\r\nContent-Length: 2"))),
        (
            "a length beyond the end",
            Act::Answer([head("Content-Length: 9"), b"{}".into()].concat()),
        ),
        ("chunks", Act::Answer([head("Transfer-Encoding: chunked"), b"0\r\n\r\n".into()].concat())),
        ("an answer that is none", Act::Answer(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec())),
        ("no JSON", answer("200 OK", "{\"state\": ")),
        ("bottomless JSON", answer("200 OK", &"[".repeat(100_000))),
    ];
    for (name, act) in broken {
        assert_eq!(code_of(act, LONG).await, "SOCKET_REQUEST_FAILED", "{name}");
    }
}

/// The begin of an answer whose end is the connection's; sent over and over it is a long body.
fn bytes_without_length() -> Vec<u8> {
    [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; 1 << 16]].concat()
}

#[tokio::test]
async fn an_answer_cut_off_at_any_byte_is_a_failed_exchange() {
    let whole = bytes("200 OK", r#"{"fault_message":"none"}"#);
    for end in 0..whole.len() {
        let code = code_of(Act::Answer(whole[..end].to_vec()), LONG).await;
        assert_eq!(code, "SOCKET_REQUEST_FAILED", "cut off after {end} bytes");
    }
}

#[tokio::test]
async fn an_answer_that_stalls_at_any_part_ends_at_the_deadline() {
    let whole = bytes("200 OK", "{}");
    for end in [0, 1, 12, 17, whole.len() - 3, whole.len() - 1] {
        let code = code_of(Act::AnswerThenStall(whole[..end].to_vec()), SHORT).await;
        assert_eq!(code, "API_TIMEOUT", "stalled after {end} bytes");
    }
}

#[tokio::test]
async fn refusals_of_every_form_are_refusals() {
    let forms = [
        ("400", r#"{"fault_message":"no"}"#),
        ("400 Bad Request", "{ \"error\": \"a\nb\" }"),
        ("503", r#"{ "error": "Too many open connections" }"#),
        ("500 Internal Server Error", ""),
        ("404 Not Found", "<html>go away</html>"),
        ("302 Found", "{}"),
    ];
    for (status, body) in forms {
        let act = Act::Answer(
            format!(
                "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .into_bytes(),
        );
        assert_eq!(code_of(act, LONG).await, "API_REFUSED", "{status} {body}");
    }
}

#[tokio::test]
async fn a_slow_answer_is_read_whole() {
    let version = bytes("200 OK", r#"{"firecracker_version":"1.12.1"}"#);
    let server = BrokenFirecracker::serve(vec![vec![
        Act::Dribble(version),
        Act::Dribble(bytes("204 No Content", "")),
        version_answer("1.12.1"),
    ]]);
    let client = ApiClient::connect(&server.socket()).await.unwrap();
    assert_eq!(client.version().await.unwrap().to_string(), "1.12.1");
    client.set_vm_state(VmRunState::Paused).await.unwrap();
    client.version().await.unwrap();
    assert_eq!(server.requests().len(), 3, "all on one connection");
}

#[tokio::test]
async fn a_body_longer_than_its_length_spoils_the_connection_and_not_the_answer() {
    let mut long = bytes("200 OK", r#"{"firecracker_version":"1.1.0"}"#);
    long.extend(b"HTTP/1.1 204 No Content\r\n\r\n");
    let server = BrokenFirecracker::serve(vec![
        vec![Act::Answer(long), Act::Ignore],
        vec![version_answer("1.2.0")],
    ]);
    let client = ApiClient::connect(&server.socket()).await.unwrap();
    assert_eq!(client.version().await.unwrap().to_string(), "1.1.0");
    assert_eq!(client.version().await.unwrap().to_string(), "1.2.0");
}

#[tokio::test]
async fn when_nobody_listens_any_more_the_next_request_says_so() {
    let server = BrokenFirecracker::serve(vec![vec![version_answer("1.12.1")]]);
    let client = ApiClient::connect(&server.socket()).await.unwrap();
    client.version().await.unwrap();
    server.closed(1).await;
    let error = client.version().await.unwrap_err();
    assert_eq!(error.code(), "SOCKET_REQUEST_FAILED");
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), "could not connect to the socket");
}
