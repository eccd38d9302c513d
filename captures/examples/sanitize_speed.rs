//! How fast one core sanitizes: bodies a second and bytes a second, over a file of texts, one a line.
//!
//! `cargo run --release -p understudy-captures --example sanitize_speed -- TEXTS [POLICY]`

use std::io::Write;
use std::time::Instant;

use bytes::Bytes;
use understudy_captures::exchange::{HttpVersion, Timing};
use understudy_captures::{
    Body, Ending, Exchange, ExchangeId, Headers, Key, Policy, Request, Response, Sanitizer, UnixNanos,
};

/// Long enough that a scheduler's tick does not show.
const PASSES: usize = 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("usage: sanitize_speed TEXTS [POLICY]")?;
    let policy = match args.next() {
        Some(policy) => Policy::from_file(policy.as_ref())?,
        None => Policy::builtin(),
    };
    let texts = std::fs::read_to_string(path)?;
    let exchanges: Vec<Exchange> = texts.lines().map(exchange).collect();
    let bytes: usize = exchanges.iter().map(|e| e.request.body.bytes.len() + answer(e).len()).sum();
    let mut sanitizer = Sanitizer::new(policy, Key::random());
    let mut changed = 0;
    let mut spent = std::time::Duration::ZERO;
    for _ in 0..PASSES {
        let copies = exchanges.clone();
        let start = Instant::now();
        for exchange in copies {
            changed += usize::from(!sanitizer.sanitize(exchange)?.redactions.is_empty());
        }
        spent += start.elapsed();
    }
    let seconds = spent.as_secs_f64();
    let count = (exchanges.len() * PASSES) as f64;
    writeln!(
        std::io::stdout(),
        "{:.0} exchanges/s, {:.0} MB/s of bodies, {:.2} us each; {} of {} changed",
        count / seconds,
        (bytes * PASSES) as f64 / seconds / 1e6,
        seconds / count * 1e6,
        changed / PASSES,
        exchanges.len(),
    )?;
    Ok(())
}

fn answer(exchange: &Exchange) -> &[u8] {
    exchange.response.as_ref().map_or(&[], |response| &response.body.bytes)
}

/// A prediction as a client of a sentiment service asks for it.
fn exchange(text: &str) -> Exchange {
    let fields = |fields: &[(&'static str, &'static str)]| {
        fields
            .iter()
            .map(|(n, v)| (Bytes::from_static(n.as_bytes()), Bytes::from_static(v.as_bytes())))
            .collect::<Headers>()
    };
    let body = |text: String| Body { original_len: text.len() as u64, bytes: text.into(), ..Body::default() };
    Exchange {
        id: ExchangeId(1),
        connection: 1,
        index: 0,
        arrival: UnixNanos(0),
        request: Request {
            method: "POST".into(),
            target: "/predict".into(),
            version: HttpVersion::Http11,
            headers: fields(&[
                ("host", "sentiment:8000"),
                ("user-agent", "python-httpx/0.27"),
                ("content-type", "application/json"),
                ("content-length", "100"),
                ("x-api-key", "secret"),
            ]),
            body: body(serde_json::json!({ "text": text }).to_string()),
            trailers: Headers::default(),
        },
        response: Some(Response {
            status: 200,
            version: HttpVersion::Http11,
            headers: fields(&[("content-type", "application/json"), ("content-length", "120"), ("server", "uvicorn")]),
            body: body(
                r#"{"label":"POSITIVE","score":0.9998,"inference_time_ms":35.21,"model_name":"distilbert-base-uncased-finetuned-sst-2-english","text_length":57}"#
                    .to_owned(),
            ),
            trailers: Headers::default(),
        }),
        ending: Ending::Complete,
        timing: Timing::default(),
        chunks: Vec::new(),
        redactions: Vec::new(),
        trace_id: None,
        stamp: understudy_captures::exchange::Stamp::default(),
    }
}
