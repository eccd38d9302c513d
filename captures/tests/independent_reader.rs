//! A reader written from `docs/capture-format.md` alone finds in a segment what was written to it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use understudy_captures::exchange::{Chunk, Ending, Exchange, ExchangeId, HttpVersion, Timing, UnixNanos};
use understudy_captures::segment::{Origin, Writer, WriterConfig};
use understudy_captures::{
    Body, Conservation, Headers, Key, Policy, Request, Response, Sanitized, Sanitizer,
};

fn exchange(n: u64) -> Exchange {
    let text = format!("{{\"text\":\"number {n} was a fine film\"}}").into_bytes();
    let body = Body { original_len: text.len() as u64, bytes: text.into(), ..Body::default() };
    let headers = Headers::from(vec![("Content-Type".into(), "application/json".into())]);
    Exchange {
        id: ExchangeId((u128::from(u64::MAX) << 64) + u128::from(n)),
        connection: n << 40,
        index: n as u32,
        arrival: UnixNanos(1_700_000_000_000_000_000 - n),
        request: Request {
            method: "POST".into(),
            target: "/predict".into(),
            version: HttpVersion::Http11,
            headers: headers.clone(),
            body,
            trailers: Headers::default(),
        },
        response: (n != 2).then(|| Response {
            status: 200 + n as u16,
            version: HttpVersion::Http10,
            headers,
            body: Body { original_len: 70_000, truncated: true, ..Body::default() },
            trailers: Headers::default(),
        }),
        ending: if n == 2 { Ending::UpstreamReset } else { Ending::Complete },
        timing: Timing { request_end: Some(n), response_start: (n != 2).then_some(300), end: 70_000 },
        chunks: vec![Chunk { offset: 300, len: 1 }, Chunk { offset: 1 << 33, len: u32::MAX }],
        redactions: Vec::new(),
        trace_id: (n == 1).then_some(u128::MAX - 5),
        stamp: understudy_captures::exchange::Stamp::default(),
    }
}

/// Too little in it to be worth compressing.
fn bare() -> Exchange {
    let mut bare =
        Exchange { response: None, ending: Ending::UpstreamReset, chunks: Vec::new(), ..exchange(0) };
    bare.request.headers = Headers::default();
    bare.request.body = Body::default();
    bare
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn fields(headers: &Headers) -> Value {
    headers.iter().map(|(name, value)| json!([hex(name), hex(value)])).collect()
}

fn body(body: &Body) -> Value {
    let mut map = json!({});
    if !body.bytes.is_empty() {
        map["b"] = hex(&body.bytes).into();
    }
    if body.original_len != body.bytes.len() as u64 {
        map["l"] = body.original_len.into();
    }
    if body.truncated {
        map["t"] = true.into();
    }
    map
}

/// The record of `exchange` as the page describes it, with what the exchanges here do not have left out.
fn record(exchange: &Exchange) -> Value {
    let request = &exchange.request;
    let mut map = json!({
        "i": format!("{:032x}", exchange.id.0),
        "c": exchange.connection,
        "a": exchange.arrival.0,
        "q": { "m": hex(&request.method), "u": hex(&request.target) },
        "tq": exchange.timing.request_end,
        "te": exchange.timing.end,
    });
    if !request.headers.is_empty() {
        map["q"]["h"] = fields(&request.headers);
    }
    if request.body != Body::default() {
        map["q"]["b"] = body(&request.body);
    }
    if !exchange.chunks.is_empty() {
        map["k"] = exchange.chunks.iter().map(|c| json!([c.offset, c.len])).collect();
    }
    if exchange.index != 0 {
        map["n"] = exchange.index.into();
    }
    if let Some(response) = &exchange.response {
        map["p"] = json!({ "s": response.status, "v": 10, "b": body(&response.body) });
        if !response.headers.is_empty() {
            map["p"]["h"] = fields(&response.headers);
        }
    } else {
        map["e"] = 3.into();
    }
    if let Some(offset) = exchange.timing.response_start {
        map["tp"] = offset.into();
    }
    if !exchange.redactions.is_empty() {
        let redaction =
            |r: &understudy_captures::exchange::Redaction| json!([*r.class, r.place.code(), r.count]);
        map["r"] = exchange.redactions.iter().map(redaction).collect();
    }
    if let Some(id) = exchange.trace_id {
        map["x"] = format!("{id:032x}").into();
    }
    map
}

fn write(dir: &Path, exchanges: &[Sanitized]) {
    let config = WriterConfig {
        dir: dir.to_owned(),
        max_bytes: u64::MAX,
        max_age: Duration::MAX,
        block_bytes: 1 << 20,
        origin: Origin { producer: "test 1".into(), boot: u64::MAX, sample: 0.5, ..Origin::default() },
        key: None,
    };
    let mut writer = Writer::create(config).expect("temporary directory");
    let mut totals =
        Conservation { seen: 9, queue_full: 9 - exchanges.len() as u64, ..Conservation::default() };
    let mut count = |n| {
        totals.recorded += n;
        totals
    };
    // A block of the bare one, and one of the rest.
    writer.append(&exchanges[0]).expect("append");
    writer.flush(&mut count).expect("flush");
    for exchange in &exchanges[1..] {
        writer.append(exchange).expect("append");
    }
    writer.finish(&mut count).expect("finish");
}

#[test]
fn a_reader_written_from_the_documentation_reads_what_was_written() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let mut sanitizer = Sanitizer::new(Policy::builtin(), Key::random());
    let plain = [bare()].into_iter().chain((1..5).map(exchange));
    let exchanges: Vec<_> = plain.map(|e| sanitizer.sanitize(e).expect("plain JSON")).collect();
    write(dir.path(), &exchanges);
    let segment = std::fs::read_dir(dir.path()).expect("directory").next().expect("segment").expect("entry");

    let segment = segment.path();
    let bytes = std::fs::read(&segment).expect("readable");
    let codecs: Vec<_> =
        bytes.windows(9).filter(|w| w.starts_with(b"\x8bUBLK\r\n\x1a")).map(|w| w[8]).collect();
    assert_eq!(codecs, [0, 1], "both codecs are read");

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/read_ucap.py");
    let output = Command::new("python3").arg(script).arg(&segment).output().expect("python3 runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let read: Vec<Value> =
        output.stdout.split(|b| *b == b'\n').filter(|line| !line.is_empty()).map(parse).collect();
    let expected: Vec<Value> = exchanges.iter().map(|exchange| record(exchange)).collect();
    assert_eq!(read, expected);
}

fn parse(line: &[u8]) -> Value {
    serde_json::from_slice(line).expect("a JSON line")
}
