//! A reader written from `docs/capture-format.md` alone finds in a segment what was written to it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use understudy_captures::exchange::{Chunk, Ending, Exchange, ExchangeId, HttpVersion, Timing, UnixNanos};
use understudy_captures::segment::{CaptureKey, CaptureKeys, Origin, Writer, WriterConfig};
use understudy_captures::source;
use understudy_captures::{
    Body, Capture, Conservation, Headers, Key, Policy, Request, Response, Sanitized, Sanitizer,
};

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/samples");

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
        redactions: Default::default(),
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
    if let Some(coding) = &body.decoded_from {
        map["d"] = coding.as_str().into();
    }
    if body.truncated {
        map["t"] = true.into();
    }
    map
}

/// Puts in what is not as a reader expects it of an HTTP/1.1 message that is empty.
fn message(map: &mut Value, version: HttpVersion, headers: &Headers, content: &Body, trailers: &Headers) {
    if version != HttpVersion::Http11 {
        map["v"] = version.code().into();
    }
    for (key, list) in [("h", headers), ("t", trailers)] {
        if !list.is_empty() {
            map[key] = fields(list);
        }
    }
    if *content != Body::default() {
        map["b"] = body(content);
    }
}

/// The record of `exchange` as the page describes it.
fn record(exchange: &Exchange) -> Value {
    let Exchange { request, timing, .. } = exchange;
    let mut map = json!({
        "i": format!("{:032x}", exchange.id.0),
        "c": exchange.connection,
        "a": exchange.arrival.0,
        "q": { "m": hex(&request.method), "u": hex(&request.target) },
        "te": timing.end,
    });
    message(&mut map["q"], request.version, &request.headers, &request.body, &request.trailers);
    if let Some(response) = &exchange.response {
        map["p"] = json!({ "s": response.status });
        message(&mut map["p"], response.version, &response.headers, &response.body, &response.trailers);
    }
    for (key, value) in [("n", exchange.index), ("e", exchange.ending.code().into())] {
        if value != 0 {
            map[key] = value.into();
        }
    }
    for (key, value) in [("tq", timing.request_end), ("tp", timing.response_start)] {
        if let Some(value) = value {
            map[key] = value.into();
        }
    }
    if !exchange.chunks.is_empty() {
        map["k"] = exchange.chunks.iter().map(|c| json!([c.offset, c.len])).collect();
    }
    if !exchange.redactions.is_empty() {
        let redactions = exchange.redactions.iter();
        map["r"] = redactions.map(|r| json!([*r.class, r.place.code(), r.count])).collect();
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

    let read = python(&segment, None);
    assert!(read.whole, "{}", read.said);
    let expected: Vec<Value> = exchanges.iter().map(|exchange| record(exchange)).collect();
    assert_eq!(read.records, expected);
}

/// What `tests/read_ucap.py` makes of a segment.
struct Independent {
    records: Vec<Value>,
    /// It found nothing wrong.
    whole: bool,
    said: String,
}

fn python(segment: &Path, key: Option<&Path>) -> Independent {
    let (script, python) = (
        concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/read_ucap.py"),
        concat!(env!("CARGO_MANIFEST_DIR"), "/../target/python/bin/python"),
    );
    let python = std::env::var_os("UNDERSTUDY_TEST_PYTHON").map_or(PathBuf::from(python), PathBuf::from);
    let output = Command::new(python).arg(script).arg(segment).args(key).output();
    let output = output.expect("tests/run makes target/python");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let ended = output.status.code();
    assert!(matches!(ended, Some(0 | 1)) && !said.contains("Traceback"), "{ended:?}: {said}");
    let lines = output.stdout.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    let records = lines.map(|line| serde_json::from_slice(line).expect("a JSON line")).collect();
    Independent { records, whole: ended == Some(0), said }
}

/// Both readers find the same in a segment; returns how many exchanges.
fn assert_both_read_the_same(segment: &Path, key: Option<&Path>, whole: bool) -> usize {
    let keys = key.map_or_else(CaptureKeys::none, |key| CaptureKey::from_file(key).expect("a key").into());
    let capture = Capture::open_found(source::local(segment).expect("readable"), &keys).expect("a segment");
    let ours: Vec<Value> = capture.exchanges().map(|exchange| record(&exchange.expect("readable"))).collect();
    let mut theirs = python(segment, key);
    let order = |record: &Value| (record["a"].as_u64(), record["i"].as_str().map(str::to_owned));
    theirs.records.sort_by_key(order);
    assert_eq!(theirs.records.len(), ours.len(), "{}: {}", segment.display(), theirs.said);
    for (theirs, ours) in theirs.records.iter().zip(&ours) {
        assert_eq!(theirs, ours, "{}", segment.display());
    }
    assert_eq!(theirs.whole, whole, "{}: {}", segment.display(), theirs.said);
    assert_eq!(capture.verified().expect("readable").is_whole(), whole, "{}", segment.display());
    ours.len()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| source::is_segment(path)).collect()
}

#[test]
fn both_read_the_same_in_every_sample_sealed_or_not_whole_or_torn() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let key = dir.path().join("key");
    std::fs::write(&key, format!("{}\n", "0f1E2d3c4b5a6978".repeat(4))).expect("writable");
    let samples = files(Path::new(SAMPLES));
    assert!(!samples.is_empty());
    for (n, sample) in samples.iter().enumerate() {
        let written = assert_both_read_the_same(sample, None, true);
        let sealed = dir.path().join(n.to_string());
        let capture = Capture::open(&[sample]).expect("a capture");
        let config = WriterConfig {
            dir: sealed.clone(),
            max_bytes: u64::MAX,
            max_age: Duration::MAX,
            block_bytes: 64 * 1024,
            origin: Origin { boot: 7, sample: 1.0, ..Origin::default() },
            key: Some(CaptureKey::from_file(&key).expect("a key")),
        };
        capture.merge(config, &BTreeMap::new(), &mut |_| ()).expect("writable");
        let [sealed] = &files(&sealed)[..] else { panic!("one segment") };
        assert_eq!(assert_both_read_the_same(sealed, Some(&key), true), written);

        for (path, key) in [(sample, None), (sealed, Some(&*key))] {
            let bytes = std::fs::read(path).expect("readable");
            let torn = dir.path().join("torn.ucap");
            for share in [0.5, 0.999] {
                let len = (bytes.len() as f64 * share) as usize;
                std::fs::write(&torn, &bytes[..len]).expect("writable");
                let left = assert_both_read_the_same(&torn, key, false);
                assert!(share < 0.99 || (1..=written).contains(&left), "{left} left of {share}");
                let mut flipped = bytes.clone();
                flipped[len] ^= 0x10;
                std::fs::write(&torn, flipped).expect("writable");
                assert_both_read_the_same(&torn, key, false);
            }
        }
    }
}
