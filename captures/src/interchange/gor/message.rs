//! The raw message of a record: head, body by its framing, trailers.

use bytes::{Bytes, BytesMut};

use crate::exchange::{Body, Headers, Request, Response};
use crate::http1::{self, NotHttp};

/// A message that was read.
#[derive(Debug)]
pub(super) enum Message {
    Request(Request),
    Response(Response),
    NotHttp,
}

/// How long the body is, by the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// This many bytes.
    Length(u64),
    /// Chunked transfer coding.
    Chunked,
    /// Everything up to the end of the record.
    Rest,
}

/// The head of a message, and where its body begins.
pub(super) enum Head {
    Request(http1::RequestHead),
    Response(http1::ResponseHead),
}

/// A body and what follows it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) body: Bytes,
    pub(super) trailers: Headers,
    /// Bytes of the message that it took.
    pub(super) len: usize,
}

/// Why a body is not whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// It needs bytes that are not there; holds how many it would need in all, when that is known.
    Cut(Option<u64>),
    /// It does not follow its coding.
    Malformed,
}

// === impl Head ===

impl Head {
    pub(super) fn len(&self) -> usize {
        match self {
            Head::Request(head) => head.len,
            Head::Response(head) => head.len,
        }
    }

    /// How the body is framed (RFC 9112, 6.3), as far as a head alone tells.
    pub(super) fn framing(&self) -> Result<Framing, NotHttp> {
        let (headers, is_request) = match self {
            Head::Request(head) => (&head.headers, true),
            Head::Response(head) if matches!(head.status, 100..=199 | 204 | 304) => {
                return Ok(Framing::Length(0));
            }
            Head::Response(head) => (&head.headers, false),
        };
        let named = |name: &'static [u8]| {
            headers.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        };
        if let Some(coding) = named(b"transfer-encoding").last() {
            return if coding.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                Ok(Framing::Chunked)
            } else {
                Err(NotHttp)
            };
        }
        let mut length = None;
        for value in named(b"content-length") {
            let digits = std::str::from_utf8(value.trim_ascii()).map_err(|_| NotHttp)?;
            let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            let parsed: u64 = digits.parse().map_err(|_| NotHttp)?;
            if !is_number || length.is_some_and(|known| known != parsed) {
                return Err(NotHttp);
            }
            length = Some(parsed);
        }
        Ok(match (length, is_request) {
            (Some(length), _) => Framing::Length(length),
            (None, true) => Framing::Length(0),
            (None, false) => Framing::Rest,
        })
    }

    /// The whole message; `truncated` says that `content` is not all of the body.
    pub(super) fn with(self, content: Content, original_len: u64, truncated: bool) -> Message {
        let Content { body, trailers, .. } = content;
        let body = Body { bytes: body, original_len, decoded_from: None, truncated };
        match self {
            Head::Request(head) => Message::Request(Request {
                method: head.method,
                target: head.target,
                version: head.version,
                headers: head.headers,
                body,
                trailers,
            }),
            Head::Response(head) => Message::Response(Response {
                status: head.status,
                version: head.version,
                headers: head.headers,
                body,
                trailers,
            }),
        }
    }
}

/// Reads a body from the bytes after a head.
pub(super) fn content(rest: &Bytes, framing: Framing) -> Result<Content, Broken> {
    match framing {
        Framing::Rest => Ok(Content { body: rest.clone(), trailers: Headers::default(), len: rest.len() }),
        Framing::Length(length) => match usize::try_from(length) {
            Ok(len) if len <= rest.len() => {
                Ok(Content { body: rest.slice(..len), trailers: Headers::default(), len })
            }
            _ => Err(Broken::Cut(Some(length))),
        },
        Framing::Chunked => chunked(rest),
    }
}

fn chunked(rest: &Bytes) -> Result<Content, Broken> {
    let mut body = BytesMut::new();
    let mut at = 0;
    loop {
        let (line, size) = match httparse::parse_chunk_size(&rest[at..]) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) => return Err(Broken::Cut(None)),
            Err(_) => return Err(Broken::Malformed),
        };
        at += line;
        if size == 0 {
            break;
        }
        let end =
            usize::try_from(size).ok().and_then(|size| at.checked_add(size)).filter(|end| *end <= rest.len());
        let Some(end) = end else { return Err(Broken::Cut(None)) };
        body.extend_from_slice(&rest[at..end]);
        match rest.get(end..end + 2) {
            Some(b"\r\n") => at = end + 2,
            Some(_) => return Err(Broken::Malformed),
            None => return Err(Broken::Cut(None)),
        }
    }
    let section = rest.slice(at..);
    let (trailers, len) = http1::fields(&section).map_err(|NotHttp| {
        if section.ends_with(b"\r\n\r\n") { Broken::Malformed } else { Broken::Cut(None) }
    })?;
    Ok(Content { body: body.freeze(), trailers, len: at + len })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunked_bodies_are_joined_and_their_trailers_kept() {
        let raw = Bytes::from_static(b"4\r\nWiki\r\n5;x=y\r\npedia\r\n0\r\nDigest: a\r\n\r\nmore");
        let read = content(&raw, Framing::Chunked).unwrap();
        assert_eq!(&read.body[..], b"Wikipedia");
        assert_eq!(read.trailers.get("digest"), Some(&b"a"[..]));
        assert_eq!(&raw[read.len..], b"more");
        for cut in 0..read.len {
            assert_eq!(content(&raw.slice(..cut), Framing::Chunked), Err(Broken::Cut(None)), "{cut}");
        }
        let wrong = Bytes::from_static(b"4\r\nWikipedia\r\n0\r\n\r\n");
        assert_eq!(content(&wrong, Framing::Chunked), Err(Broken::Malformed));
    }

    #[test]
    fn lengths_that_disagree_or_are_no_numbers_are_not_http() {
        let framing = |fields: &str| {
            let raw = Bytes::from(format!("POST / HTTP/1.1\r\n{fields}\r\n"));
            Head::Request(http1::request_head(&raw).unwrap()).framing()
        };
        assert_eq!(framing("Content-Length: 3\r\ncontent-length: 3\r\n"), Ok(Framing::Length(3)));
        assert_eq!(framing("Content-Length: 3\r\ncontent-length: 4\r\n"), Err(NotHttp));
        assert_eq!(framing("Content-Length: +3\r\n"), Err(NotHttp));
        assert_eq!(framing("Transfer-Encoding: gzip\r\n"), Err(NotHttp));
        assert_eq!(framing(""), Ok(Framing::Length(0)));
    }
}
