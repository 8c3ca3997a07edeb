//! Writing a request.

use crate::capability::Method;

/// A request cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a path begins with `/` and holds visible ASCII characters only")]
pub(super) struct PathError;

/// The bytes of a request. One with a body names its length, as Firecracker needs.
pub(super) fn encode(
    method: Method,
    path: &str,
    body: Option<&[u8]>,
) -> Result<Vec<u8>, PathError> {
    // Anything else would end the line that it stands in.
    if !path.starts_with('/') || !path.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(PathError);
    }
    let mut request = Vec::with_capacity(160 + path.len() + body.map_or(0, <[u8]>::len));
    for part in [method.as_str(), " ", path, " HTTP/1.1\r\n"] {
        request.extend_from_slice(part.as_bytes());
    }
    request.extend_from_slice(b"Host: localhost\r\nAccept: application/json\r\n");
    if let Some(body) = body {
        request.extend_from_slice(b"Content-Type: application/json\r\nContent-Length: ");
        request.extend_from_slice(body.len().to_string().as_bytes());
        request.extend_from_slice(b"\r\n\r\n");
        request.extend_from_slice(body);
    } else {
        request.extend_from_slice(b"\r\n");
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_announced() {
        let request = encode(Method::Put, "/vm", Some(b"{}")).unwrap();
        assert_eq!(
            String::from_utf8(request).unwrap(),
            "PUT /vm HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\
             Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        );
        let request = encode(Method::Delete, "/pmem/a", None).unwrap();
        assert!(request.ends_with(b"application/json\r\n\r\n"));
    }

    #[test]
    fn a_path_cannot_smuggle_a_header_in() {
        for path in ["", "vm", "/a b", "/a\r\nX: y", "/a\0", "/é"] {
            assert_eq!(encode(Method::Get, path, None), Err(PathError), "{path:?}");
        }
    }
}
