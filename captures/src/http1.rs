//! Heads of HTTP/1 messages as an [`Exchange`](crate::Exchange) keeps them: methods, targets and fields in their wire
//! form, as slices of the bytes they were read from.

use std::mem::MaybeUninit;

use bytes::Bytes;

use crate::exchange::{Headers, HttpVersion};

/// Most fields of a head or a trailer section that are read.
pub const MAX_FIELDS: usize = 128;

/// The bytes do not read as HTTP/1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message does not read as HTTP")]
pub struct NotHttp;

/// The head of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// Method token as sent.
    pub method: Bytes,
    /// Request target as sent.
    pub target: Bytes,
    /// Version of the request line.
    pub version: HttpVersion,
    /// Fields in wire order.
    pub headers: Headers,
    /// Bytes of the head, with the empty line at its end.
    pub len: usize,
}

/// The head of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// Status code.
    pub status: u16,
    /// Version of the status line.
    pub version: HttpVersion,
    /// Fields in wire order.
    pub headers: Headers,
    /// Bytes of the head, with the empty line at its end.
    pub len: usize,
}

/// Reads the request head that `message` begins with.
pub fn request_head(message: &Bytes) -> Result<RequestHead, NotHttp> {
    let mut room = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    let len = complete(parsed.parse_with_uninit_headers(message, &mut room))?;
    let part = |text: Option<&str>| text.map(|text| message.slice_ref(text.as_bytes())).ok_or(NotHttp);
    Ok(RequestHead {
        method: part(parsed.method)?,
        target: part(parsed.path)?,
        version: version(parsed.version)?,
        headers: headers(message, parsed.headers),
        len,
    })
}

/// Reads the response head that `message` begins with.
pub fn response_head(message: &Bytes) -> Result<ResponseHead, NotHttp> {
    let mut room = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let len = complete(config.parse_response_with_uninit_headers(&mut parsed, message, &mut room))?;
    Ok(ResponseHead {
        status: parsed.code.ok_or(NotHttp)?,
        version: version(parsed.version)?,
        headers: headers(message, parsed.headers),
        len,
    })
}

/// Reads a section of fields up to its empty line: the trailers of a chunked body. Also says how long it is.
pub fn fields(section: &Bytes) -> Result<(Headers, usize), NotHttp> {
    let mut room = [httparse::EMPTY_HEADER; MAX_FIELDS];
    match httparse::parse_headers(section, &mut room) {
        Ok(httparse::Status::Complete((len, parsed))) => Ok((headers(section, parsed), len)),
        Ok(httparse::Status::Partial) | Err(_) => Err(NotHttp),
    }
}

/// Trace id of a W3C `traceparent`: version, 32 hex digits, parent, flags.
pub fn trace_id(value: &[u8]) -> Option<u128> {
    let mut parts = std::str::from_utf8(value).ok()?.split('-');
    let version = parts.next()?;
    let trace = parts.next()?;
    let is_hex = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if version.len() != 2 || version == "ff" || trace.len() != 32 || !is_hex(version) || !is_hex(trace) {
        return None;
    }
    u128::from_str_radix(trace, 16).ok().filter(|id| *id != 0)
}

fn complete(parsed: httparse::Result<usize>) -> Result<usize, NotHttp> {
    match parsed {
        Ok(httparse::Status::Complete(len)) => Ok(len),
        Ok(httparse::Status::Partial) | Err(_) => Err(NotHttp),
    }
}

fn version(minor: Option<u8>) -> Result<HttpVersion, NotHttp> {
    match minor {
        Some(0) => Ok(HttpVersion::Http10),
        Some(1) => Ok(HttpVersion::Http11),
        _ => Err(NotHttp),
    }
}

/// Fields as slices of `whole`, which they were parsed from.
fn headers(whole: &Bytes, parsed: &[httparse::Header<'_>]) -> Headers {
    let field = |header: &httparse::Header<'_>| {
        (whole.slice_ref(header.name.as_bytes()), whole.slice_ref(header.value))
    };
    parsed.iter().map(field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_id_is_taken_from_a_well_formed_traceparent_only() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let wanted = u128::from_str_radix(id, 16).ok();
        assert_eq!(trace_id(format!("00-{id}-00f067aa0ba902b7-01").as_bytes()), wanted);
        for wrong in [
            format!("ff-{id}-00f067aa0ba902b7-01"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01".to_owned(),
            format!("00-{}-00f067aa0ba902b7-01", id.to_uppercase()),
            format!("00-+{}-00f067aa0ba902b7-01", &id[1..]),
            id.to_owned(),
        ] {
            assert_eq!(trace_id(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn a_head_is_read_with_its_length_and_without_copying() {
        let message = Bytes::from_static(b"POST /predict?x=1 HTTP/1.1\r\nHost: a\r\nX-Empty:\r\n\r\nbody");
        let head = request_head(&message).unwrap();
        assert_eq!((&head.method[..], &head.target[..]), (&b"POST"[..], &b"/predict?x=1"[..]));
        assert_eq!(&message[head.len..], b"body");
        assert_eq!(head.headers.get("x-empty"), Some(&b""[..]));
        assert_eq!(response_head(&message), Err(NotHttp));
        let answer = Bytes::from_static(b"HTTP/1.0 200 OK\r\n\r\n");
        let head = response_head(&answer).unwrap();
        assert_eq!((head.status, head.version, head.len), (200, HttpVersion::Http10, answer.len()));
        assert_eq!(response_head(&answer.slice(..10)), Err(NotHttp), "a head that is cut");
    }
}
