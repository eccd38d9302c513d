//! Promises of the sanitizer for any exchange: JSON keeps its shape, lengths stay, and no string that the policy does
//! not allow survives anywhere.
#![allow(clippy::unwrap_used)] // helpers of tests

use std::collections::BTreeSet;
use std::io::Write;

use proptest::prelude::*;
use serde_json::Value;
use understudy_captures::exchange::{
    Body, Ending, Exchange, ExchangeId, Headers, HttpVersion, Request, Response, Stamp, Timing, UnixNanos,
};
use understudy_captures::{Key, Policy, Sanitizer};

/// Only `/kept` stays and nothing is free text; every type that can be read is.
const POLICY: &str = "version: 1
extends: nothing
json: {keep: [/kept]}
headers: {request: [content-type, content-length], response: [content-type, content-length], tokenize: [x-own-id]}
target: {query: [page], identifiers: [\"/v1/*\"]}
content_types:
  - {type: application/json, as: json}
  - {type: application/x-ndjson, as: json_lines}
  - {type: application/x-www-form-urlencoded, as: form}
  - {type: multipart/form-data, as: multipart}
  - {type: application/octet-stream, as: tensors}
  - {type: text/event-stream, as: events}
";

/// A secret: four letters and more, none of which is a digit or a mark, so that all of it can be replaced. Letters of
/// several alphabets and lengths.
fn secret() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{4,12}",
        "[A-Z][a-z]{3,8} [A-Z][a-z]{3,8}",
        "[a-zA-Z0-9]{8,40}",
        "[\u{430}-\u{44f}]{4,10}",
        "[a-z]{3,8}@[a-z]{3,8}\\.[a-z]{2,3}",
        "[a-z\"\\\\\n\u{0}\u{1f600}/]{6,20}"
            .prop_filter("letters enough", |s| { s.bytes().filter(u8::is_ascii_alphabetic).count() > 3 }),
    ]
}

/// JSON of any nesting, whose strings are secrets and whose names are words.
fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0u64..1_000_000).prop_map(Value::from),
        secret().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec(("[a-e]{1,3}", inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Ways to write one document as a body, with its type. Secrets stand in values.
fn encoded(way: usize, document: &Value, secret: &str) -> (String, Vec<u8>) {
    let json = document.to_string();
    let form = || -> String {
        let percent: String = secret.bytes().map(|b| format!("%{b:02X}")).collect();
        format!("a={percent}&b={percent}&{percent}")
    };
    let escaped: String = json
        .chars()
        .flat_map(|c| match c {
            c if c.is_ascii() => vec![c.to_string()],
            c => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
        })
        .collect();
    let in_line = secret.replace(['\n', '\r', '"', '\\', '\0'], "x");
    match way {
        0 => ("application/json".into(), json.into_bytes()),
        1 => ("application/json; charset=utf-8".into(), escaped.into_bytes()),
        2 => ("application/x-ndjson".into(), format!("{json}\n\n{json}\r\n").into_bytes()),
        3 => ("application/x-www-form-urlencoded".into(), form().into_bytes()),
        4 => (
            "text/event-stream".into(),
            format!("data: {in_line}\nid: {in_line}\n\ndata: [{json}]\n\n").into_bytes(),
        ),
        5 => {
            let head = "Content-Disposition: form-data; name=";
            let body = format!(
                "--own\r\n{head}\"a\"; filename=\"{in_line}\"\r\n\r\n{secret}\r\n--own\r\n{head}\"b\"\r\nContent-Type: application/json\r\nX-Own: {in_line}\r\n\r\n{json}\r\n--own--\r\n"
            );
            ("multipart/form-data; boundary=own".into(), body.into_bytes())
        }
        6 => ("text/html".into(), format!("<p>{secret} {json}").into_bytes()),
        _ => {
            let len = secret.len();
            let head = format!(
                "{{\"inputs\":[{{\"shape\":[1],\"datatype\":\"BYTES\",\"parameters\":{{\"binary_data_size\":{}}}}}],\"outputs\":[{{\"shape\":[1],\"datatype\":\"BYTES\",\"parameters\":{{\"binary_data_size\":{}}}}}],\"a\":{json}}}",
                len + 4,
                len + 4
            );
            let mut body = head.clone().into_bytes();
            body.extend_from_slice(&(len as u32).to_le_bytes());
            body.extend_from_slice(secret.as_bytes());
            (format!("application/octet-stream\n{}", head.len()), body)
        }
    }
}

fn compressed(coding: usize, bytes: &[u8]) -> (Option<&'static str>, Vec<u8>) {
    match coding {
        1 => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            (Some("gzip"), encoder.finish().unwrap())
        }
        2 => (Some("zstd"), zstd::stream::encode_all(bytes, 1).unwrap()),
        _ => (None, bytes.to_vec()),
    }
}

fn message(way: usize, coding: usize, document: &Value, secret: &str) -> (Headers, Body, usize) {
    let (declared, plain) = encoded(way, document, secret);
    let (coding, bytes) = compressed(coding, &plain);
    let mut fields: Vec<(String, String)> = Vec::new();
    match declared.split_once('\n') {
        Some((media, len)) => {
            fields.push(("Content-Type".into(), media.into()));
            fields.push(("Inference-Header-Content-Length".into(), len.into()));
        }
        None => fields.push(("Content-Type".into(), declared)),
    }
    fields.extend(coding.map(|coding| ("Content-Encoding".into(), coding.to_owned())));
    for name in ["Authorization", "X-Own-Id", "X-Anything", "Content-Length"] {
        fields.push((name.into(), secret.to_owned()));
    }
    let fields = fields.into_iter().map(|(n, v)| (n.into_bytes().into(), v.into_bytes().into()));
    let body = Body { original_len: bytes.len() as u64, bytes: bytes.into(), ..Body::default() };
    (fields.collect(), body, plain.len())
}

/// Every string leaf of more than three characters.
fn leaves(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if text.chars().count() > 3 => {
            found.insert(text.clone());
        }
        Value::Array(elements) => elements.iter().for_each(|element| leaves(element, found)),
        Value::Object(members) => members.values().for_each(|member| leaves(member, found)),
        _ => {}
    }
}

/// Whether `text` stands in `bytes` as it is, percent-encoded, or in JSON escapes.
fn survives(bytes: &[u8], text: &str) -> bool {
    let json = serde_json::to_string(text).unwrap();
    let json = &json[1..json.len() - 1];
    let ascii: String = json
        .chars()
        .flat_map(|c| match c {
            c if c.is_ascii() => vec![c.to_string()],
            c => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
        })
        .collect();
    let percent: String = text.bytes().map(|b| format!("%{b:02X}")).collect();
    [text, json, &ascii, &percent].iter().any(|form| memchr::memmem::find(bytes, form.as_bytes()).is_some())
}

fn written(exchange: &Exchange) -> Vec<u8> {
    let response = exchange.response.as_ref().unwrap();
    let fields =
        [&exchange.request.headers, &exchange.request.trailers, &response.headers, &response.trailers];
    let fields =
        fields.into_iter().flat_map(Headers::iter).flat_map(|(name, value)| [name, b":", value, b"\n"]);
    let mut all = exchange.request.target.to_vec();
    all.extend(fields.flatten());
    all.extend_from_slice(&exchange.request.body.bytes);
    all.extend_from_slice(&response.body.bytes);
    all
}

fn assert_same_shape(before: &Value, after: &Value) {
    match (before, after) {
        (Value::String(old), Value::String(new)) => {
            assert_eq!((old.len(), old.chars().count()), (new.len(), new.chars().count()));
        }
        (Value::Array(old), Value::Array(new)) => {
            assert_eq!(old.len(), new.len());
            old.iter().zip(new).for_each(|(old, new)| assert_same_shape(old, new));
        }
        (Value::Object(old), Value::Object(new)) => {
            assert!(old.keys().eq(new.keys()), "names and their order stay");
            old.values().zip(new.values()).for_each(|(old, new)| assert_same_shape(old, new));
        }
        // An integer part of nine digits and more may name somebody.
        (Value::Number(old), Value::Number(new)) => assert_eq!(old.is_f64(), new.is_f64()),
        (old, new) => assert_eq!(old, new),
    }
}

fn exchange(request: (Headers, Body), response: (Headers, Body), target: String) -> Exchange {
    Exchange {
        id: ExchangeId(1),
        connection: 1,
        index: 0,
        arrival: UnixNanos(1),
        request: Request {
            method: "POST".into(),
            target: target.into(),
            version: HttpVersion::Http11,
            trailers: request.0.clone(),
            headers: request.0,
            body: request.1,
        },
        response: Some(Response {
            status: 422,
            version: HttpVersion::Http11,
            trailers: response.0.clone(),
            headers: response.0,
            body: response.1,
        }),
        ending: Ending::Complete,
        timing: Timing::default(),
        chunks: Vec::new(),
        redactions: Default::default(),
        trace_id: None,
        stamp: Stamp::default(),
    }
}

proptest! {
    #[test]
    fn nothing_that_the_policy_does_not_allow_survives(
        document in document(),
        secret in secret(),
        (asked, answered) in (0usize..8, 0usize..8),
        (coding, other) in (0usize..3, 0usize..3),
    ) {
        let (fields, body, len) = message(asked, coding, &document, &secret);
        let (answer_fields, answer, answer_len) = message(answered, other, &document, &secret);
        let percent: String = secret.bytes().map(|b| format!("%{b:02X}")).collect();
        let target = format!("/v1/{percent};s={percent}?q={percent}&page=2&{percent}#{percent}");
        let target_len = target.len();
        let observed = exchange((fields, body), (answer_fields, answer), target);
        let mut sanitizer = Sanitizer::new(Policy::from_yaml(POLICY, "test").unwrap(), Key::random());
        let sanitized = sanitizer.sanitize(observed).unwrap();
        let kept = sanitized.request.body.bytes.len();
        let answer_kept = sanitized.response.as_ref().unwrap().body.bytes.len();
        prop_assert!(kept == len || kept == 0 && asked == 6, "{} of {}", kept, len);
        prop_assert!(answer_kept == answer_len || answer_kept == 0 && answered == 6);
        prop_assert_eq!(sanitized.request.target.len(), target_len);
        let mut strings = BTreeSet::from([secret]);
        leaves(&document, &mut strings);
        let all = written(&sanitized);
        for text in strings {
            // Names of the documents and frames of the bodies hold short words; a replacement may spell one of four.
            prop_assert!(!survives(&all, &text) || text.len() < 6, "{text:?} survives");
        }
    }

    #[test]
    fn json_keeps_its_shape(document in document()) {
        let json = document.to_string();
        let fields = Headers::from(vec![("content-type".into(), "application/json".into())]);
        let body = Body { original_len: json.len() as u64, bytes: json.into_bytes().into(), ..Body::default() };
        let observed = exchange((fields.clone(), body.clone()), (fields, body), "/".to_owned());
        for policy in [Policy::builtin(), Policy::from_yaml(POLICY, "test").unwrap()] {
            let sanitized = Sanitizer::new(policy, Key::random()).sanitize(observed.clone()).unwrap();
            let after: Value = serde_json::from_slice(&sanitized.request.body.bytes).unwrap();
            assert_same_shape(&document, &after);
            let answer: Value = serde_json::from_slice(&sanitized.response.as_ref().unwrap().body.bytes).unwrap();
            prop_assert_eq!(after, answer);
        }
    }

    #[test]
    fn hostile_bytes_are_refused_or_keep_their_length(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        way in 0usize..6,
        seam in any::<proptest::sample::Index>(),
    ) {
        let (declared, mut plain) = encoded(way, &Value::from("abcdef"), "secret");
        plain.splice(seam.index(plain.len() + 1).., bytes);
        let fields = Headers::from(vec![("content-type".into(), declared.into_bytes().into())]);
        let body = Body { original_len: plain.len() as u64, bytes: plain.clone().into(), ..Body::default() };
        let none = (Headers::default(), Body::default());
        let observed = exchange((fields, body), none, "/".to_owned());
        let mut sanitizer = Sanitizer::new(Policy::from_yaml(POLICY, "test").unwrap(), Key::random());
        if let Ok(sanitized) = sanitizer.sanitize(observed) {
            prop_assert_eq!(sanitized.request.body.bytes.len(), plain.len());
        }
    }
}
