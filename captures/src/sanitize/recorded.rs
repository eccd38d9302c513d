//! Outcomes recorded before the sanitizer was made fast: making it faster must not change them.
//!
//! Detection is off, since detectors learn new forms; everything else (headers, targets, JSON, forms, event streams,
//! spellings, tokens, replacements, counts) is pinned by one digest over real texts in many wrappings.

use super::*;
use crate::exchange::{Body, Ending, ExchangeId, Headers, HttpVersion, Timing, UnixNanos};
use crate::samples;

/// BLAKE3 over the `Debug` form of every outcome.
const DIGEST: &str = "82976687f800a7451b32a805859abb9c18f90a0cb5dbcef8f631fd0a066ee5c3";

fn fields(list: &[(&str, &str)]) -> Headers {
    let owned = |s: &str| Bytes::copy_from_slice(s.as_bytes());
    list.iter().map(|(n, v)| (owned(n), owned(v))).collect()
}

fn body(text: String) -> Body {
    Body { original_len: text.len() as u64, bytes: text.into(), ..Body::default() }
}

/// An exchange of which `n` picks target, fields and wrapping of the text.
fn exchange(n: usize, text: &str) -> Exchange {
    let quoted = serde_json::Value::from(text).to_string();
    let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    let percent: String = text.bytes().map(|b| format!("%{b:02X}")).collect();
    let (kind, body_text) = match n % 8 {
        0 => ("application/json", format!(r#"{{"text":{quoted}}}"#)),
        1 => (
            "application/json; charset=UTF-8",
            format!(r#"{{"user" : {quoted},"id":{n},"x":[{quoted}, "{escaped}"]}}"#),
        ),
        2 => (
            "application/json",
            format!(
                "{{\"texts\":[{quoted},\n{quoted}],\"priority\":\"high\",\"meta\":{{\"a\":[1,[{quoted}]]}}}}"
            ),
        ),
        3 => (
            "application/x-www-form-urlencoded",
            format!("text={percent}&user={percent}&label=A+b&{percent}&n=%31"),
        ),
        4 => ("text/plain", text.to_owned()),
        5 => ("application/x-ndjson", format!("{{\"label\":{quoted}}}\r\n{{\"q\":{quoted}}}\n")),
        6 => (
            "text/event-stream",
            format!(
                "event: delta\ndata: {{\"choices\":[{{\"delta\":{{\"content\":{quoted}}}}}]}}\n\nid: {n}\ndata: [DONE]\n\n"
            ),
        ),
        _ => (
            "application/problem+json",
            format!(
                r#"{{"result":[[[{quoted},{quoted}]]],"detail":{{"error_code":"E1","why":"{escaped}"}},"nan":NaN,"big":12345678901234567890}}"#
            ),
        ),
    };
    let target = match n % 7 {
        0 => "/predict".to_owned(),
        1 => format!("/api/v1/users/{n}/predict?lang=en&limit=5&q={percent}"),
        2 => format!("/batch/status/{n:08x}-aaaa?page=2#frag{n}"),
        3 => format!("/models/bert-{n}/v1;session=k{n}?text={percent}&stream"),
        4 => format!("http://user{n}@host:8000/x/{n:012}?a=b;c=d"),
        5 => format!("/{percent}/y"),
        _ => "*".to_owned(),
    };
    Exchange {
        id: ExchangeId(n as u128),
        connection: 1,
        index: n as u32,
        arrival: UnixNanos(n as u64),
        request: Request {
            method: "POST".into(),
            target: target.into(),
            version: HttpVersion::Http11,
            headers: fields(&[
                ("Host", "sentiment.example"),
                ("X-Request-ID", &format!("r-{}", n % 9)),
                ("x-correlation-id", " spaced "),
                ("X-Forwarded-For", "203.0.113.7"),
                ("ACCEPT", "*/*"),
                ("Content-Type", kind),
                ("Content-Length", &body_text.len().to_string()),
                ("Cookie", "a=b"),
                ("ETag", "\"x\""),
            ]),
            body: body(body_text.clone()),
            trailers: fields(&[("x-user-id", "u"), ("te", "trailers"), ("x", "y")]),
        },
        response: (!n.is_multiple_of(11)).then(|| Response {
            status: 200,
            version: HttpVersion::Http11,
            headers: fields(&[
                ("content-type", kind),
                ("content-length", "007"),
                ("X-Inference-Time-MS", "35.21"),
                ("set-cookie", "s"),
                ("x-request-id", "r"),
            ]),
            body: if n.is_multiple_of(5) { Body::default() } else { body(body_text) },
            trailers: Headers::default(),
        }),
        ending: Ending::Complete,
        timing: Timing::default(),
        chunks: Vec::new(),
        redactions: Default::default(),
        trace_id: None,
        stamp: crate::exchange::Stamp::default(),
    }
}

/// One line an outcome.
fn outcomes(policy: Policy) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    std::fs::write(&path, "0123456789abcdef".repeat(4)).unwrap();
    let mut sanitizer = Sanitizer::new(policy, Key::from_file(&path).unwrap());
    let texts: Vec<String> = samples::texts()
        .step_by(3)
        .map(|t| t.text.to_owned())
        .chain(samples::pii_sentences().map(|s| s.text))
        .chain(["", "😀é Ж\u{0}\\\"/ 日本", "тест", "a"].map(str::to_owned))
        .collect();
    let outcome = |result: Result<Sanitized, Unsanitizable>| match result {
        Ok(e) => format!("{:?} {:?} {:?}", e.request, e.response, &*e.redactions),
        Err(refusal) => refusal.to_string(),
    };
    texts.iter().enumerate().map(|(n, text)| outcome(sanitizer.sanitize(exchange(n, text)))).collect()
}

#[test]
fn outcomes_without_detectors_are_those_recorded() {
    let names: Vec<&str> = Class::ALL.iter().map(|class| class.name()).collect();
    let yaml = format!("version: 1\ndetectors: {{off: [{}]}}", names.join(", "));
    let all = outcomes(Policy::from_yaml(&yaml, "test").unwrap());
    assert_eq!(blake3::hash(all.join("\n").as_bytes()).to_hex().as_str(), DIGEST);
}
