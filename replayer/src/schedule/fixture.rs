//! Exchanges and captures for tests.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use understudy_captures::exchange::{
    Body, Ending, Exchange, ExchangeId, Headers, HttpVersion, Request, Response, Timing, UnixNanos,
};
use understudy_captures::segment::{Origin, Writer, WriterConfig};
use understudy_captures::{Conservation, Key, Policy, Sanitizer};

/// When the first exchange of every fixture arrives.
const FIRST: u64 = 1_700_000_000_000_000_000;

/// An exchange that arrives `at` after the first one.
pub(crate) fn exchange(at: Duration, method: &str, target: &str, body: &[u8]) -> Exchange {
    let content = |len: usize| {
        Headers::from(vec![
            (Bytes::from_static(b"content-type"), Bytes::from_static(b"application/json")),
            (Bytes::from_static(b"content-length"), Bytes::from(len.to_string())),
        ])
    };
    let whole = |bytes: &[u8]| Body {
        bytes: Bytes::copy_from_slice(bytes),
        original_len: bytes.len() as u64,
        ..Body::default()
    };
    let answer = br#"{"label":"POSITIVE","score":0.75}"#;
    Exchange {
        id: ExchangeId(u128::from(crate::schedule::nanos(at))),
        connection: 1,
        index: 0,
        arrival: UnixNanos(FIRST + crate::schedule::nanos(at)),
        request: Request {
            method: Bytes::copy_from_slice(method.as_bytes()),
            target: Bytes::copy_from_slice(target.as_bytes()),
            version: HttpVersion::Http11,
            headers: content(body.len()),
            body: whole(body),
            trailers: Headers::default(),
        },
        response: Some(Response {
            status: 200,
            version: HttpVersion::Http11,
            headers: content(answer.len()),
            body: whole(answer),
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

/// A prediction that arrives `at` after the first one.
pub(crate) fn predict(at: Duration, text: &str) -> Exchange {
    exchange(at, "POST", "/predict", format!(r#"{{"text":"{text}"}}"#).as_bytes())
}

/// Writes a capture of these exchanges, as the sidecar would.
pub(crate) fn write(dir: &Path, exchanges: impl IntoIterator<Item = Exchange>) {
    let mut writer = Writer::create(WriterConfig {
        dir: dir.to_owned(),
        max_bytes: 1 << 30,
        max_age: Duration::from_secs(3600),
        block_bytes: 1 << 16,
        origin: Origin { producer: "test".into(), sample: 1.0, ..Origin::default() },
        key: None,
    })
    .unwrap();
    let mut sanitizer = Sanitizer::new(Policy::builtin(), Key::random());
    let mut seen = 0;
    for exchange in exchanges {
        seen += 1;
        writer.append(&sanitizer.sanitize(exchange).unwrap()).unwrap();
    }
    let mut recorded = 0;
    writer
        .finish(&mut |written| {
            recorded += written;
            Conservation { seen, recorded: seen, ..Conservation::default() }
        })
        .unwrap();
}
