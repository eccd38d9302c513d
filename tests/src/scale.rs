//! Captures of any size, and what it takes a command to read them.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use understudy_captures::exchange::{Ending, HttpVersion, Stamp, Timing, UnixNanos};
use understudy_captures::segment::{Origin, Writer, WriterConfig};
use understudy_captures::{
    Body, Conservation, Exchange, ExchangeId, Headers, Key, Policy, Request, Response, Sanitizer, samples,
};

use crate::process::{Finished, finish};

/// Pods that record at the same time.
pub const PODS: u64 = 3;
/// How far the clock of the last pod is ahead.
pub const AHEAD: Duration = Duration::from_millis(40);
const FIRST: u64 = 1_700_000_000_000_000_000;
/// Nanoseconds between two exchanges of a pod.
const STEP: u64 = 500_000;
/// One request in so many is passed from the first pod to the others, under one trace id.
const PASSED_ON: u64 = 500;
const SEGMENT_BYTES: u64 = 64 << 20;

/// Tells the peak of what its child kept in memory; Rust has no safe way to ask.
const WATCH: &str = "import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print('peak', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)";

/// A command that ended.
#[derive(Debug)]
pub struct Watched {
    /// What it printed.
    pub finished: Finished,
    /// The most that it kept in memory.
    pub peak_bytes: u64,
    /// How long it took.
    pub took: Duration,
}

/// Runs a program to its end and measures it.
pub fn watched(program: &Path, args: &[&str]) -> Result<Watched> {
    let begin = Instant::now();
    let mut command = Command::new("python3");
    command.args([OsStr::new("-c"), OsStr::new(WATCH), program.as_os_str()]).args(args);
    let mut finished = finish(&mut command)?;
    let took = begin.elapsed();
    let (said, peak) = finished.stderr.rsplit_once("peak ").context("no peak was told")?;
    let peak_bytes = peak.trim().parse::<u64>()? << 10;
    finished.stderr = said.to_owned();
    Ok(Watched { finished, peak_bytes, took })
}

/// Writes what [`PODS`] pods recorded into a directory: `exchanges` sentiment predictions in all, in segments of 64 MiB.
pub fn record(dir: &Path, exchanges: u64) -> Result<()> {
    let mut sanitizer = Sanitizer::new(Policy::builtin(), Key::random());
    let drafts: Vec<Exchange> = samples::texts()
        .filter_map(|text| sanitizer.sanitize(prediction(text.text)).ok())
        .map(|sanitized| sanitized.into_inner())
        .collect();
    for pod in 0..PODS {
        let mut writer = Writer::create(config(dir, pod))?;
        let count = exchanges / PODS + u64::from(pod < exchanges % PODS);
        let mut recorded = 0;
        for n in 0..count {
            let draft = drafts[(n as usize).wrapping_mul(7) % drafts.len()].clone();
            // What went through the sanitizer passes as it is.
            let sanitized = sanitizer.sanitize(placed(draft, pod, n)).context("sanitized before")?;
            recorded += writer.append(&sanitized)?;
        }
        let totals = |rest| {
            let recorded = recorded + rest;
            Conservation { seen: recorded, recorded, ..Conservation::default() }
        };
        writer.finish(&mut { totals })?;
    }
    Ok(())
}

fn config(dir: &Path, pod: u64) -> WriterConfig {
    WriterConfig {
        dir: dir.to_owned(),
        max_bytes: SEGMENT_BYTES,
        max_age: Duration::MAX,
        block_bytes: 256 << 10,
        origin: Origin {
            producer: "scale 1".into(),
            pod: Some(format!("sentiment-{pod}")),
            boot: pod + 1,
            sample: 1.0,
            ..Origin::default()
        },
        key: None,
    }
}

/// The `n`th exchange of a pod.
fn placed(draft: Exchange, pod: u64, n: u64) -> Exchange {
    let jitter = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44;
    let ahead = if pod == PODS - 1 { AHEAD.as_nanos() as u64 } else { 0 };
    // A request that is passed on lies within the one that it came with.
    let (passed_on, depth) = (n.is_multiple_of(PASSED_ON), pod * 100_000);
    let jitter = if passed_on { depth } else { jitter };
    let end = if passed_on { 4_000_000 - 2 * depth } else { 2_000_000 + 4 * jitter };
    Exchange {
        id: ExchangeId(u128::from(pod + 1) << 64 | u128::from(n)),
        connection: n % 64,
        index: (n / 64) as u32,
        arrival: UnixNanos(FIRST + n * STEP + jitter + ahead),
        timing: Timing { request_end: Some(0), response_start: Some(end - 10_000), end },
        trace_id: passed_on.then_some(u128::from(n) + 1),
        ..draft
    }
}

fn prediction(text: &str) -> Exchange {
    let asked = serde_json::json!({ "text": text }).to_string();
    let answered =
        r#"{"label":"POSITIVE","score":0.9312,"inference_time_ms":3.07,"model_name":"distilbert"}"#;
    let body = |text: String| Body { original_len: text.len() as u64, bytes: text.into(), ..Body::default() };
    let json = || Headers::from(vec![("content-type".into(), "application/json".into())]);
    Exchange {
        id: ExchangeId(0),
        connection: 0,
        index: 0,
        arrival: UnixNanos(FIRST),
        request: Request {
            method: "POST".into(),
            target: "/predict".into(),
            version: HttpVersion::Http11,
            headers: json(),
            body: body(asked),
            trailers: Headers::default(),
        },
        response: Some(Response {
            status: 200,
            version: HttpVersion::Http11,
            headers: json(),
            body: body(answered.to_owned()),
            trailers: Headers::default(),
        }),
        ending: Ending::Complete,
        timing: Timing::default(),
        chunks: Vec::new(),
        redactions: Default::default(),
        trace_id: None,
        stamp: Stamp::default(),
    }
}
