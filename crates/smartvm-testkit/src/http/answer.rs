//! What a server answers, well or badly.

use std::io::{self, Read, Write};
use std::sync::Arc;

use super::request::Request;

/// An answer. The connection is closed behind it.
#[derive(Debug, Clone)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Arc<Vec<u8>>,
    start: usize,
    end: End,
}

/// How the body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// As announced.
    Whole,
    /// With this many bytes, fewer than announced.
    Cut(usize),
    /// With this many bytes, and then nothing more comes, without end.
    Stalled(usize),
    /// Never: it is sent again and again.
    Endless,
    /// As it is, its length not announced.
    Unannounced,
}

impl Answer {
    /// An answer with this status and body.
    #[must_use]
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let body = Arc::new(body.into());
        Self { status, headers: Vec::new(), body, start: 0, end: End::Whole }
    }

    /// What there is not.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(404, "not found")
    }

    /// A redirect.
    #[must_use]
    pub fn redirect(to: &str) -> Self {
        Self::new(302, "").with_header("location", to)
    }

    /// A file, or the rest of it when the request asks for that and the tag is the same.
    #[must_use]
    pub fn file(request: &Request, content: &Arc<Vec<u8>>, tag: &str) -> Self {
        let whole = Self {
            status: 200,
            headers: Vec::new(),
            body: Arc::clone(content),
            start: 0,
            end: End::Whole,
        };
        let whole = whole.with_header("etag", tag).with_header("accept-ranges", "bytes");
        let Some(start) = request.range_start() else { return whole };
        if request.header("if-range").is_some_and(|expected| expected != tag) {
            return whole;
        }
        if start >= content.len() {
            let range = format!("bytes */{}", content.len());
            return Self::new(416, "").with_header("content-range", &range);
        }
        let range = format!("bytes {start}-{}/{}", content.len() - 1, content.len());
        Self { status: 206, start, ..whole }.with_header("content-range", &range)
    }

    /// The same with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same without a header.
    #[must_use]
    pub fn without_header(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    /// The same, cut off after this many bytes of the body.
    #[must_use]
    pub fn cut_after(self, bytes: usize) -> Self {
        Self { end: End::Cut(bytes), ..self }
    }

    /// The same, with nothing more coming after this many bytes of the body.
    #[must_use]
    pub fn stalled_after(self, bytes: usize) -> Self {
        Self { end: End::Stalled(bytes), ..self }
    }

    /// The same, sent again and again without end.
    #[must_use]
    pub fn endless(self) -> Self {
        Self { end: End::Endless, ..self }
    }

    /// The same, its length not announced: the end of the connection is its end.
    #[must_use]
    pub fn unannounced(self) -> Self {
        Self { end: End::Unannounced, ..self }
    }

    pub(super) fn send(&self, to: &mut (impl Read + Write)) -> io::Result<()> {
        let body = &self.body[self.start.min(self.body.len())..];
        let mut head = format!("HTTP/1.1 {} Status\r\nconnection: close\r\n", self.status);
        let says_length = self.headers.iter().any(|(name, _)| name == "content-length");
        match self.end {
            End::Endless => head.push_str("transfer-encoding: chunked\r\n"),
            End::Unannounced => {}
            _ if says_length => {}
            _ => head.push_str(&format!("content-length: {}\r\n", body.len())),
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        to.write_all(format!("{head}\r\n").as_bytes())?;
        match self.end {
            End::Whole | End::Unannounced => to.write_all(body),
            End::Cut(bytes) => to.write_all(&body[..bytes.min(body.len())]),
            End::Stalled(bytes) => {
                to.write_all(&body[..bytes.min(body.len())])?;
                // Until the client gives up.
                io::copy(to, &mut io::sink()).map(drop)
            }
            End::Endless => loop {
                to.write_all(format!("{:x}\r\n", body.len()).as_bytes())?;
                to.write_all(body)?;
                to.write_all(b"\r\n")?;
            },
        }
    }
}
