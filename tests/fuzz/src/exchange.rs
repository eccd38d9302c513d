//! Exchanges made of raw parts.

use bytes::Bytes;
use understudy_captures::exchange::{Ending, Exchange, ExchangeId, HttpVersion, Timing, UnixNanos};
use understudy_captures::{Body, Headers, Request, Response};

/// What matters of a request or a response.
#[derive(Clone, Debug, Default)]
pub struct Message<'a> {
    /// Value of `content-type`.
    pub content_type: &'a str,
    /// Value of `content-encoding`; empty for none.
    pub coding: &'a str,
    /// More fields.
    pub fields: Vec<(&'a [u8], &'a [u8])>,
    /// The body as on the wire.
    pub body: &'a [u8],
}

/// A complete exchange.
pub fn of(target: &[u8], request: &Message<'_>, response: Option<&Message<'_>>) -> Exchange {
    Exchange {
        id: ExchangeId(1),
        connection: 1,
        index: 0,
        arrival: UnixNanos(1_700_000_000_000_000_000),
        request: Request {
            method: "POST".into(),
            target: Bytes::copy_from_slice(target),
            version: HttpVersion::Http11,
            headers: request.headers(),
            body: request.body(),
            trailers: Headers::default(),
        },
        response: response.map(|response| Response {
            status: 200,
            version: HttpVersion::Http11,
            headers: response.headers(),
            body: response.body(),
            trailers: Headers::default(),
        }),
        ending: Ending::Complete,
        timing: Timing { request_end: Some(1), response_start: Some(2), end: 3 },
        chunks: Vec::new(),
        redactions: Default::default(),
        trace_id: None,
        stamp: understudy_captures::exchange::Stamp::default(),
    }
}

/// Everything that would be written of an exchange, one part behind the other.
pub fn written(exchange: &Exchange) -> Vec<u8> {
    let mut all = exchange.request.target.to_vec();
    let response = exchange.response.as_ref();
    let headers = [&exchange.request.headers, &exchange.request.trailers];
    let answered = response.into_iter().flat_map(|r| [&r.headers, &r.trailers]);
    for (name, value) in headers.into_iter().chain(answered).flat_map(Headers::iter) {
        all.push(b'\n');
        all.extend_from_slice(name);
        all.extend_from_slice(b": ");
        all.extend_from_slice(value);
    }
    for body in [Some(&exchange.request.body), response.map(|r| &r.body)].into_iter().flatten() {
        all.push(b'\n');
        all.extend_from_slice(&body.bytes);
    }
    all
}

// === impl Message ===

impl Message<'_> {
    fn headers(&self) -> Headers {
        let own = [("content-type", self.content_type), ("content-encoding", self.coding)];
        let own = own.iter().filter(|(_, value)| !value.is_empty());
        let own = own.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let all = own.chain(self.fields.iter().copied());
        all.map(|(n, v)| (Bytes::copy_from_slice(n), Bytes::copy_from_slice(v))).collect()
    }

    fn body(&self) -> Body {
        Body {
            bytes: Bytes::copy_from_slice(self.body),
            original_len: self.body.len() as u64,
            ..Body::default()
        }
    }
}
