//! Benchmarks: what Understudy costs and how exact it is, as ratios against peers and bare baselines in the same run.
//!
//! `cargo run --release -p understudy-tests --bin bench` runs all of them and prints the tables of
//! `docs/performance.md`; naming one (`sidecar`, `throughput`, `lag`, `sanitize`) runs that one. Loopback
//! only, bounded in time. `scale [EXCHANGES]` is not among all of them: it takes gigabytes of disk.

mod cpu;
mod lag;
mod sanitize;
mod scale;
mod sidecar;
mod table;
mod throughput;

use std::io::Write;

use anyhow::{Result, bail};

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
    if cfg!(debug_assertions) {
        bail!("figures of a debug build mean nothing: cargo run --release -p understudy-tests --bin bench");
    }
    if wanted.is_empty() {
        wanted = ["sidecar", "throughput", "lag", "sanitize"].map(String::from).to_vec();
    }
    for name in wanted {
        match name.as_str() {
            "sidecar" => sidecar::run(out)?,
            "throughput" => throughput::run(out)?,
            "lag" => lag::run(out)?,
            "sanitize" => sanitize::run(out)?,
            other => bail!("no benchmark {other:?}; there are: sidecar, throughput, lag, sanitize, scale"),
        }
        writeln!(out)?;
    }
    Ok(())
}
