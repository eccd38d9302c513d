//! Segments: any bytes open or fail, damaged ones never give an exchange that was not written.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use understudy_captures::conservation::Conservation;
use understudy_captures::exchange::{Ending, Exchange, ExchangeId, HttpVersion, Timing, UnixNanos};
use understudy_captures::segment::{Origin, Writer, WriterConfig};
use understudy_captures::{Body, Capture, Headers, Key, Policy, Request, Sanitizer};

/// A well-formed segment and what is in it.
struct Model {
    bytes: Vec<u8>,
    exchanges: BTreeMap<ExchangeId, Exchange>,
}

/// Reads `data` as a segment, and as a list of damages to a good one.
pub fn run(data: &[u8]) {
    read(data, |_| {});
    let model = model();
    let mut damaged = model.bytes.clone();
    // Each three bytes name a place and what to do there: flip bits of it, or end the file.
    for damage in data.chunks_exact(3).take(8) {
        if damaged.is_empty() {
            break;
        }
        let at = usize::from(u16::from_le_bytes([damage[0], damage[1]])) % damaged.len();
        match damage[2] {
            0 => damaged.truncate(at),
            bits => damaged[at] ^= bits,
        }
    }
    read(&damaged, |exchange| {
        assert_eq!(model.exchanges.get(&exchange.id), Some(exchange), "an exchange nobody wrote");
    });
}

fn read(bytes: &[u8], mut each: impl FnMut(&Exchange)) {
    let dir = scratch();
    let path = dir.join("fuzzed.ucap");
    std::fs::write(&path, bytes).expect("the scratch directory takes files");
    let paths = [path];
    if let Ok(capture) = Capture::open(&paths) {
        capture.stats();
        for exchange in capture.exchanges().map_while(Result::ok) {
            each(&exchange);
        }
    }
    // An error is as good as a verification here.
    Capture::verify(&paths).ok();
}

/// A directory in memory where the system has one; this file is written for every input.
fn scratch() -> &'static std::path::Path {
    static DIR: OnceLock<tempfile::TempDir> = OnceLock::new();
    DIR.get_or_init(|| {
        let memory = std::path::Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        dir.expect("a scratch directory can be made")
    })
    .path()
}

fn model() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a scratch directory can be made");
        let config = WriterConfig {
            dir: dir.path().to_owned(),
            max_bytes: u64::MAX,
            max_age: Duration::MAX,
            block_bytes: 256,
            origin: Origin { boot: 7, sample: 1.0, ..Origin::default() },
            key: None,
        };
        let mut writer = Writer::create(config).expect("the directory can be written");
        let mut sanitizer = Sanitizer::new(Policy::builtin(), Key::random());
        let mut exchanges = BTreeMap::new();
        for n in 0..6 {
            let sanitized = sanitizer.sanitize(exchange(n)).expect("it is plain JSON");
            writer.append(&sanitized).expect("the directory can be written");
            exchanges.insert(sanitized.id, sanitized.into_inner());
        }
        let totals = Conservation { seen: 6, recorded: 6, ..Conservation::default() };
        writer.finish(&mut |_| totals).expect("the directory can be written");
        let file = std::fs::read_dir(dir.path()).expect("it exists").next().expect("one segment");
        let bytes = std::fs::read(file.expect("it can be listed").path()).expect("it can be read");
        Model { bytes, exchanges }
    })
}

fn exchange(n: u64) -> Exchange {
    let text = format!("{{\"text\":\"the film was good, number {n}\"}}").into_bytes();
    let body = Body { original_len: text.len() as u64, bytes: text.into(), ..Body::default() };
    Exchange {
        id: ExchangeId(u128::from(n)),
        connection: n / 2,
        index: (n % 2) as u32,
        arrival: UnixNanos(1_700_000_000_000_000_000 + n),
        request: Request {
            method: "POST".into(),
            target: "/predict".into(),
            version: HttpVersion::Http11,
            headers: vec![("Content-Type".into(), "application/json".into())].into(),
            body,
            trailers: Headers::default(),
        },
        response: None,
        ending: Ending::ClientAbort,
        timing: Timing { request_end: Some(1), response_start: None, end: 2_500_000 },
        chunks: Vec::new(),
        redactions: Default::default(),
        trace_id: None,
        stamp: understudy_captures::exchange::Stamp::default(),
    }
}
