//! How fast one core sanitizes the sample traffic: raw HTTP bytes and exchanges per second of CPU time.
//!
//! `cargo run --release -p understudy-captures --example sanitize_speed -- [PASSES [POLICY]]`

use std::io::Write;

use understudy_captures::samples::{self, traffic};
use understudy_captures::{Key, Policy, Sanitizer};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let passes: usize = std::env::args().nth(1).as_deref().unwrap_or("100").parse()?;
    let samples = traffic::of(samples::texts());
    let wire: usize = samples.iter().map(|sample| sample.wire_bytes).sum();
    let bodies: usize = samples.iter().map(|sample| sample.body_bytes).sum();
    let policy = match std::env::args().nth(2) {
        Some(policy) => Policy::from_file(policy.as_ref())?,
        None => Policy::builtin(),
    };
    let mut sanitizer = Sanitizer::new(policy, Key::random());
    let mut spent = Vec::with_capacity(passes);
    let mut changed = 0;
    for _ in 0..passes {
        let copies: Vec<_> = samples.iter().map(|sample| sample.exchange.clone()).collect();
        // Dropped behind the measurement: whoever writes an exchange drops it.
        let mut done = Vec::with_capacity(copies.len());
        let before = cpu_seconds()?;
        for exchange in copies {
            done.push(sanitizer.sanitize(exchange)?);
        }
        spent.push(cpu_seconds()? - before);
        changed = done.iter().filter(|sanitized| sanitized.input_changed()).count();
    }
    spent.sort_by(f64::total_cmp);
    let median = spent[passes / 2];
    writeln!(
        std::io::stdout(),
        "{:.0} MB/s of raw HTTP ({:.0} MB/s of bodies), {:.2} us for each of {} exchanges of {} bytes; {changed} inputs changed",
        wire as f64 / median / 1e6,
        bodies as f64 / median / 1e6,
        median / samples.len() as f64 * 1e6,
        samples.len(),
        wire / samples.len(),
    )?;
    Ok(())
}

/// CPU time of this thread so far, from the scheduler's own account.
fn cpu_seconds() -> Result<f64, Box<dyn std::error::Error>> {
    let account = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(account.split(' ').next().unwrap_or_default().parse::<f64>()? / 1e9)
}
