//! Reading an answer of Firecracker from bytes, without a socket.

use httparse::{Header, Response, Status};

/// More than Firecracker's HTTP layer ever writes before a body, in bytes.
const HEAD_LIMIT: usize = 16 << 10;

/// More headers than that are none of Firecracker's.
const HEADERS_LIMIT: usize = 32;

/// No answer of Firecracker comes near it; a body beyond it is not Firecracker's.
const BODY_LIMIT: usize = 1 << 20;

/// What Firecracker answered to a request, be it success or refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status: 200 or 204 for success.
    pub status: u16,
    /// The body, at most 1 MiB.
    pub body: Vec<u8>,
    /// Whether Firecracker closes the connection after it.
    pub closes: bool,
}

impl Answer {
    /// Reads an answer from the beginning of what came on a connection: it and its length in
    /// bytes, or `None` when more must come. `ended` says that no more will come, which is the end
    /// of an answer that announces no length.
    ///
    /// Bytes are never looked at twice for nothing: what is too long for an answer is an error as
    /// soon as that is sure.
    ///
    /// ```
    /// use smartvm_firecracker::Answer;
    ///
    /// let bytes = b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\n{}";
    /// let (answer, length) = Answer::parse(bytes, false)?.expect("it is whole");
    /// assert_eq!((answer.status, answer.body, length), (200, b"{}".to_vec(), bytes.len()));
    /// assert_eq!(Answer::parse(&bytes[..20], false)?, None);
    /// # Ok::<(), smartvm_firecracker::AnswerError>(())
    /// ```
    ///
    /// # Errors
    /// When the bytes are not the beginning of an answer of Firecracker's.
    pub fn parse(bytes: &[u8], ended: bool) -> Result<Option<(Self, usize)>, AnswerError> {
        let Some(head) = Head::parse(bytes)? else { return Ok(None) };
        let body = &bytes[head.length..];
        let length = match head.body {
            BodyLength::Known(length) if length <= body.len() => length,
            BodyLength::UntilClose if body.len() > BODY_LIMIT => {
                return Err(AnswerError::BodyTooLong { limit: BODY_LIMIT });
            }
            BodyLength::UntilClose if ended => body.len(),
            BodyLength::Known(_) | BodyLength::UntilClose => return Ok(None),
        };
        let body = body[..length].to_vec();
        let answer = Self { status: head.status, body, closes: head.closes };
        Ok(Some((answer, head.length + length)))
    }

    /// Whether Firecracker did what was asked.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..300)
    }
}

/// What came is no answer of Firecracker's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// It is not HTTP.
    #[error("it is not HTTP")]
    NotHttp(#[source] httparse::Error),
    /// Its headers have no end.
    #[error("its headers exceed {limit} bytes")]
    HeadTooLong {
        /// The longest head read.
        limit: usize,
    },
    /// Its body is longer than any of Firecracker's.
    #[error("its body exceeds {limit} bytes")]
    BodyTooLong {
        /// The longest body read.
        limit: usize,
    },
    /// It says in two ways how long it is, or in none that is a number.
    #[error("its length is not one number")]
    LengthUnclear,
    /// It comes in pieces or compressed, which Firecracker never does.
    #[error("it comes in a transfer encoding, which Firecracker does not use")]
    TransferEncoding,
    /// Its status does not end an exchange.
    #[error("its status is {status}, which answers nothing")]
    NotFinal {
        /// The HTTP status.
        status: u16,
    },
}

struct Head {
    status: u16,
    closes: bool,
    body: BodyLength,
    /// In bytes, with the empty line.
    length: usize,
}

#[derive(Clone, Copy)]
enum BodyLength {
    Known(usize),
    UntilClose,
}

impl Head {
    fn parse(bytes: &[u8]) -> Result<Option<Self>, AnswerError> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_LIMIT];
        let mut response = Response::new(&mut headers);
        let too_long = AnswerError::HeadTooLong { limit: HEAD_LIMIT };
        let length = match response.parse(&bytes[..bytes.len().min(HEAD_LIMIT)]) {
            Ok(Status::Complete(length)) => length,
            Ok(Status::Partial) if bytes.len() >= HEAD_LIMIT => return Err(too_long),
            Ok(Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(too_long),
            Err(error) => return Err(AnswerError::NotHttp(error)),
        };
        let status = response.code.unwrap_or_default();
        if status < 200 {
            return Err(AnswerError::NotFinal { status });
        }
        let announced = announced_length(response.headers)?;
        let body = match (status, announced) {
            (204 | 304, _) => BodyLength::Known(0),
            (_, Some(length)) => BodyLength::Known(length),
            (_, None) => BodyLength::UntilClose,
        };
        let closes = response.version == Some(0)
            || matches!(body, BodyLength::UntilClose)
            || values(response.headers, "connection").any(|v| v.eq_ignore_ascii_case(b"close"));
        Ok(Some(Self { status, closes, body, length }))
    }
}

fn announced_length(headers: &[Header<'_>]) -> Result<Option<usize>, AnswerError> {
    if values(headers, "transfer-encoding").next().is_some() {
        return Err(AnswerError::TransferEncoding);
    }
    let mut announced = None;
    for value in values(headers, "content-length") {
        let length = parse_length(value).ok_or(AnswerError::LengthUnclear)?;
        if announced.is_some_and(|other| other != length) {
            return Err(AnswerError::LengthUnclear);
        }
        announced = Some(length);
    }
    match announced.map(usize::try_from) {
        None => Ok(None),
        Some(Ok(length)) if length <= BODY_LIMIT => Ok(Some(length)),
        Some(_) => Err(AnswerError::BodyTooLong { limit: BODY_LIMIT }),
    }
}

/// `u64::from_str` alone would let `+1` pass. What exceeds a `u64` is merely too long.
fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = std::str::from_utf8(value).ok()?;
    Some(digits.parse().unwrap_or(u64::MAX))
}

fn values<'a>(headers: &'a [Header<'_>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    headers.iter().filter(|h| h.name.eq_ignore_ascii_case(name)).map(|h| h.value.trim_ascii())
}

#[cfg(test)]
mod tests;
