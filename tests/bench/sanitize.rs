//! What sanitizing costs: raw HTTP bytes a second of one core, against reading the same bodies as JSON.

use std::hint::black_box;
use std::io::Write;

use anyhow::Result;
use understudy_captures::samples::{self, traffic};
use understudy_captures::{Exchange, Key, Policy, Sanitized, Sanitizer};

use crate::{cpu, table};

/// The first only warms up.
const ROUNDS: usize = 20;
/// Passes over the traffic within a round: long enough that the scheduler's account is exact.
const PASSES: usize = 10;

/// Prints the table.
pub(crate) fn run(out: &mut dyn Write) -> Result<()> {
    let samples = traffic::of(samples::texts());
    let wire: usize = samples.iter().map(|sample| sample.wire_bytes).sum();
    let body: usize = samples.iter().map(|sample| sample.body_bytes).sum();
    let mut sanitizer = Sanitizer::new(Policy::builtin(), Key::random());
    let (mut sanitizing, mut parsing, mut copying) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let (mut sanitize, mut parse, mut copy) = (0.0, 0.0, 0.0);
        for _ in 0..PASSES {
            let exchanges: Vec<Exchange> = samples.iter().map(|sample| sample.exchange.clone()).collect();
            // Dropped behind the measurement: whoever writes an exchange drops it.
            let mut done: Vec<Sanitized> = Vec::with_capacity(exchanges.len());
            sanitize += timed(|| {
                for exchange in exchanges {
                    done.push(sanitizer.sanitize(exchange)?);
                }
                Ok(())
            })?;
            parse += timed(|| {
                for bytes in samples.iter().flat_map(|sample| bodies(&sample.exchange)) {
                    black_box(serde_json::from_slice::<serde_json::Value>(bytes)?);
                }
                Ok(())
            })?;
            copy += timed(|| {
                samples.iter().for_each(|sample| drop(black_box(sample.exchange.clone())));
                Ok(())
            })?;
        }
        if round > 0 {
            sanitizing.push(sanitize / PASSES as f64);
            parsing.push(parse / PASSES as f64);
            copying.push(copy / PASSES as f64);
        }
    }
    writeln!(out, "### Sanitizing\n")?;
    writeln!(
        out,
        "{} exchanges of a sentiment service, {} bytes each on the wire ({} of them bodies), built-in policy; CPU time of one \
         thread, medians (and span) of {ROUNDS} alternating rounds.\n",
        samples.len(),
        wire / samples.len(),
        body / samples.len(),
    )?;
    let parsed = table::median(&parsing);
    let row = |name: &str, seconds: &[f64]| {
        let middle = table::median(seconds);
        let (low, high) = table::span(seconds);
        let rate = |seconds: f64| wire as f64 / seconds / 1e6;
        vec![
            name.to_owned(),
            format!("{:.0} ({:.0}-{:.0})", rate(middle), rate(high), rate(low)),
            format!("{:.0}", body as f64 / middle / 1e6),
            format!("{:.2}", middle / samples.len() as f64 * 1e6),
            format!("{:.2}", parsed / middle),
        ]
    };
    let rows = [
        row("sanitize", &sanitizing),
        row("bodies read by `serde_json` into a `Value`", &parsing),
        row("the exchange cloned and dropped", &copying),
    ];
    table::write(
        out,
        &["detector mode", "MB/s of raw HTTP", "MB/s of bodies", "µs an exchange", "to `serde_json`"],
        &rows,
    )
}

/// CPU seconds of this thread that `work` takes.
fn timed(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let before = cpu::of_this_thread()?;
    work()?;
    Ok(cpu::of_this_thread()? - before)
}

fn bodies(exchange: &Exchange) -> impl Iterator<Item = &[u8]> {
    let answer = exchange.response.iter().map(|response| &response.body.bytes[..]);
    std::iter::once(&exchange.request.body.bytes[..]).chain(answer).filter(|bytes| !bytes.is_empty())
}
