//! Sentiment predictions as they are on the wire: asked by httpx through an ingress, answered by uvicorn; the texts are
//! the samples. Shared by the benchmarks, the programs that measure, and the test of a capture's size.

use std::time::Duration;

use bytes::Bytes;
use understudy_captures::exchange::{Ending, HttpVersion, Stamp, Timing, UnixNanos};
use understudy_captures::segment::{Origin, Writer, WriterConfig};
use understudy_captures::{
    Body, Conservation, Exchange, ExchangeId, Headers, Key, Policy, Request, Response, Sanitized, Sanitizer,
    samples,
};

const FIRST: u64 = 1_700_000_000_000_000_000;

/// A generator of numbers for ids, scores and latencies: the same every time.
pub(crate) struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// One exchange for each sample text, over and over, at some 500 a second; as observed, before sanitizing.
pub(crate) fn observed(boot: u64) -> impl Iterator<Item = Exchange> {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ boot);
    let texts: Vec<_> = samples::texts().collect();
    (0_u64..)
        .map(move |n| exchange(n, boot, texts[(n as usize).wrapping_mul(7) % texts.len()].text, &mut dice))
}

/// The first `count`, sanitized by the built-in policy.
pub(crate) fn sanitized(boot: u64, count: usize) -> Vec<Sanitized> {
    let mut sanitizer = Sanitizer::new(Policy::builtin(), Key::random());
    observed(boot).filter_map(|exchange| sanitizer.sanitize(exchange).ok()).take(count).collect()
}

/// Bytes of request and response on the wire.
pub(crate) fn wire_len(exchange: &Exchange) -> u64 {
    let fields = |headers: &Headers| headers.iter().map(|(n, v)| n.len() + v.len() + 4).sum::<usize>() + 2;
    let request = &exchange.request;
    let asked = request.method.len() + request.target.len() + 12 + fields(&request.headers);
    let answered = exchange.response.as_ref().map_or(0, |r| 17 + fields(&r.headers));
    let bodies = request.body.original_len + exchange.response.as_ref().map_or(0, |r| r.body.original_len);
    (asked + answered) as u64 + bodies
}

/// A recorder's writer.
pub(crate) fn config(dir: &std::path::Path, boot: u64, max_bytes: u64) -> WriterConfig {
    WriterConfig {
        dir: dir.to_owned(),
        max_bytes,
        max_age: Duration::MAX,
        block_bytes: 256 * 1024,
        origin: Origin {
            producer: "traffic 1".into(),
            pod: Some(format!("sentiment-{boot:x}")),
            boot,
            sample: 1.0,
            ..Origin::default()
        },
        key: None,
    }
}

/// Writes all of `exchanges` and closes the capture.
pub(crate) fn write(mut writer: Writer, exchanges: &[Sanitized]) {
    let mut recorded = 0;
    for exchange in exchanges {
        recorded += writer.append(exchange).expect("room on the disk");
    }
    let totals = |n| {
        let recorded = recorded + n;
        Conservation { seen: recorded, recorded, ..Conservation::default() }
    };
    writer.finish(&mut { totals }).expect("room on the disk");
}

fn exchange(n: u64, boot: u64, text: &str, dice: &mut Dice) -> Exchange {
    let asked = format!("{{\"text\":{}}}", serde_json::Value::from(text));
    let score = 0.5 + (dice.next() % 5_000) as f64 / 10_000.0;
    let label = if dice.next().is_multiple_of(3) { "NEGATIVE" } else { "POSITIVE" };
    let took = 2_000_000 + dice.next() % 6_000_000;
    let spent = took as f64 / 1e6;
    let answered = format!(
        "{{\"label\":\"{label}\",\"score\":{score:.4},\"inference_time_ms\":{spent:.2},\"model_name\":\"distilbert-base-uncased-finetuned-sst-2-english\",\"text_length\":{},\"backend\":\"pytorch\",\"cached\":false}}",
        text.chars().count()
    );
    let request_headers = headers(&[
        ("Host", "sentiment.prod.svc.cluster.local"),
        ("X-Request-ID", &format!("{:016x}{:016x}", dice.next(), dice.next())),
        ("X-Real-IP", "10.42.3.17"),
        ("X-Forwarded-For", "10.42.3.17"),
        ("X-Forwarded-Host", "sentiment.prod.svc.cluster.local"),
        ("X-Forwarded-Port", "443"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Scheme", "https"),
        ("X-Scheme", "https"),
        ("Content-Length", &asked.len().to_string()),
        ("accept", "*/*"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("user-agent", "python-httpx/0.28.1"),
        ("content-type", "application/json"),
    ]);
    let second = n / 500;
    let response_headers = headers(&[
        (
            "date",
            &format!(
                "Tue, 14 Nov 2023 {:02}:{:02}:{:02} GMT",
                second / 3600 % 24,
                second / 60 % 60,
                second % 60
            ),
        ),
        ("server", "uvicorn"),
        ("content-length", &answered.len().to_string()),
        ("content-type", "application/json"),
    ]);
    let body = |text: String| Body { original_len: text.len() as u64, bytes: text.into(), ..Body::default() };
    Exchange {
        id: ExchangeId(u128::from(boot) << 64 | u128::from(n)),
        connection: n % 16,
        index: (n / 16) as u32,
        arrival: UnixNanos(FIRST + n * 2_000_000 + dice.next() % 4_000_000),
        request: Request {
            method: Bytes::from_static(b"POST"),
            target: Bytes::from_static(b"/predict"),
            version: HttpVersion::Http11,
            headers: request_headers,
            body: body(asked),
            trailers: Headers::default(),
        },
        response: Some(Response {
            status: 200,
            version: HttpVersion::Http11,
            headers: response_headers,
            body: body(answered),
            trailers: Headers::default(),
        }),
        ending: Ending::Complete,
        timing: Timing { request_end: Some(0), response_start: Some(took), end: took + dice.next() % 60_000 },
        chunks: Vec::new(),
        redactions: Default::default(),
        trace_id: None,
        stamp: Stamp::default(),
    }
}

fn headers(fields: &[(&str, &str)]) -> Headers {
    let owned = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    fields.iter().map(|(name, value)| (owned(name), owned(value))).collect()
}
