//! How fast one core sanitizes the sample traffic, against reading and writing the same bodies as JSON and against
//! copying them, in alternating rounds of CPU time.
//!
//! `cargo run --release -p understudy-captures --example sanitize_speed -- [PASSES [POLICY]]`

use std::error::Error;
use std::hint::black_box;
use std::io::Write;

use understudy_captures::samples::{self, traffic};
use understudy_captures::{Exchange, Key, Policy, Sanitizer};

/// What is measured, and the seconds of all passes over the traffic. The scheduler's account moves in ticks of some
/// milliseconds, so only the sum of many passes means something.
struct Row {
    name: &'static str,
    seconds: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let passes: usize = std::env::args().nth(1).as_deref().unwrap_or("100").parse()?;
    let samples = traffic::of(samples::texts());
    let wire: usize = samples.iter().map(|sample| sample.wire_bytes).sum();
    let policy = match std::env::args().nth(2) {
        Some(policy) => Policy::from_file(policy.as_ref())?,
        None => Policy::builtin(),
    };
    let vocabulary = Policy::from_yaml("version: 1\nfree_text_mode: vocabulary", "the example")?;
    let mut sanitizers = [policy, vocabulary].map(|policy| Sanitizer::new(policy, Key::random()));
    let names = ["sanitize", "sanitize, vocabulary mode", "bodies through serde_json", "bodies copied"];
    let mut rows = names.map(|name| Row { name, seconds: 0.0 });
    for _ in 0..passes {
        for (sanitizer, row) in sanitizers.iter_mut().zip(&mut rows) {
            let copies: Vec<Exchange> = samples.iter().map(|sample| sample.exchange.clone()).collect();
            // Dropped behind the measurement: whoever writes an exchange drops it.
            let mut done = Vec::with_capacity(copies.len());
            let before = cpu_seconds()?;
            for exchange in copies {
                done.push(sanitizer.sanitize(exchange)?);
            }
            row.seconds += cpu_seconds()? - before;
        }
        let bodies = || samples.iter().flat_map(|sample| bodies(&sample.exchange));
        let before = cpu_seconds()?;
        for body in bodies() {
            let value: serde_json::Value = serde_json::from_slice(body)?;
            black_box(serde_json::to_vec(&value)?);
        }
        rows[2].seconds += cpu_seconds()? - before;
        let before = cpu_seconds()?;
        bodies().for_each(|body| drop(black_box(body.to_vec())));
        rows[3].seconds += cpu_seconds()? - before;
    }
    let read = rows[2].seconds;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} exchanges of {} bytes, {passes} passes", samples.len(), wire / samples.len())?;
    writeln!(
        out,
        "| one core | MB/s of raw HTTP | µs an exchange | to serde_json |\n| --- | --- | --- | --- |"
    )?;
    for Row { name, seconds } in rows {
        let pass = seconds / passes as f64;
        writeln!(
            out,
            "| {} | {:.0} | {:.2} | {:.2} |",
            name,
            wire as f64 / pass / 1e6,
            pass / samples.len() as f64 * 1e6,
            read / seconds,
        )?;
    }
    Ok(())
}

fn bodies(exchange: &Exchange) -> impl Iterator<Item = &[u8]> {
    let answer = exchange.response.iter().map(|response| &response.body.bytes[..]);
    std::iter::once(&exchange.request.body.bytes[..]).chain(answer).filter(|bytes| !bytes.is_empty())
}

/// CPU time of this thread so far, from the scheduler's own account.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let account = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(account.split(' ').next().unwrap_or_default().parse::<f64>()? / 1e9)
}
