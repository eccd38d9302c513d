//! Benchmarks: what Understudy costs and how exact it is, as ratios against peers and bare baselines in the same run.
//!
//! `cargo run --release -p understudy-tests --bin bench` runs all of them and prints the tables of
//! `docs/performance.md`; naming one (`sidecar`, `latency`, `loss`, `memory`, `throughput`, `lag`, `sanitize`) runs that
//! one. Loopback only, bounded in time. `memory --seconds N` takes as long as is said. `scale [EXCHANGES]` is not among
//! all of them: it takes gigabytes of disk.

mod cpu;
mod lag;
mod latency;
mod loss;
mod memory;
mod sanitize;
mod scale;
mod sidecar;
mod table;
mod throughput;

use std::io::Write;

use anyhow::{Result, bail};

const ALL: [&str; 7] = ["sidecar", "latency", "loss", "memory", "throughput", "lag", "sanitize"];

/// Of these nothing is measured in this process; `UNDERSTUDY_PROGRAMS` may name a folder of programs built before.
const OUTSIDE: [&str; 4] = ["sidecar", "latency", "loss", "memory"];

fn main() -> Result<()> {
    let out = &mut std::io::stdout();
    let mut wanted: Vec<String> = std::env::args().skip(1).collect();
    // The throughput benchmark starts this program again as its own bare client.
    if wanted.first().is_some_and(|w| w == "bare-hyper-client") {
        return throughput::bare_hyper_client(&wanted[1..], out);
    }
    // Memory is the same in every build.
    if wanted.first().is_some_and(|w| w == "scale") {
        return scale::run(&wanted[1..], out);
    }
    if wanted.is_empty() {
        wanted = ALL.map(String::from).to_vec();
    }
    let memory = wanted.first().is_some_and(|w| w == "memory");
    let outside = memory || wanted.iter().all(|w| OUTSIDE.contains(&w.as_str()));
    if cfg!(debug_assertions) && !(outside && std::env::var_os("UNDERSTUDY_PROGRAMS").is_some()) {
        bail!("figures of a debug build mean nothing: cargo run --release -p understudy-tests --bin bench");
    }
    if memory {
        return memory::run(&wanted[1..], out);
    }
    for name in wanted {
        match name.as_str() {
            "sidecar" => sidecar::run(out)?,
            "latency" => latency::run(out)?,
            "loss" => loss::run(out)?,
            "memory" => memory::run(&[], out)?,
            "throughput" => throughput::run(out)?,
            "lag" => lag::run(out)?,
            "sanitize" => sanitize::run(out)?,
            other => bail!("no benchmark {other:?}; there are: {}, scale", ALL.join(", ")),
        }
        writeln!(out)?;
    }
    Ok(())
}
