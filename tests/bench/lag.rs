//! How exactly the replayer keeps its schedule, against tokio's timer on the same schedule in the same run.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::Signal;
use serde_json::Value;
use understudy_tests::peers::{Nginx, h2load};
use understudy_tests::programs::{Sidecar, understudy};

use crate::table;

const SECONDS: u64 = 6;

/// Prints the table.
pub(crate) fn run(out: &mut dyn Write) -> Result<()> {
    let app = Nginx::answering()?;
    let mut rows = Vec::new();
    for rate in [500, 2_000, 5_000] {
        let certificate = replay(&app, rate)?;
        let figure =
            |key: &str| certificate[key].as_f64().with_context(|| format!("no {key} in {certificate}"));
        let (p50, p99) = (figure("lag_p50_ms")?, figure("lag_p99_ms")?);
        let tokio = tokio_lag(rate)?;
        rows.push(vec![
            format!("{rate}/s"),
            format!("{p50:.3}"),
            format!("{p99:.3}"),
            format!("{:.3}", figure("lag_max_ms")?),
            format!("{:.3} / {:.3}", tokio.0, tokio.1),
            format!("{:.0} / {:.0}", tokio.0 / p50, tokio.1 / p99),
            format!("{:.4}", figure("achieved_rate")? / figure("asked_rate")?),
        ]);
    }
    writeln!(out, "### Replayer: lag against the schedule, milliseconds\n")?;
    writeln!(
        out,
        "Constant rate for {SECONDS} s against nginx on the same machine; the certificate's figures. *tokio* is a bare \
         `sleep_until` on the same schedule, without any request.\n"
    )?;
    let head =
        ["rate", "p50", "p99", "max", "tokio p50 / p99", "times better p50 / p99", "achieved over asked"];
    table::write(out, &head, &rows)
}

fn replay(app: &Nginx, rate: u64) -> Result<Value> {
    let scratch = tempfile::tempdir()?;
    let captures = scratch.path().join("captures");
    let sidecar = Sidecar::start(&app.listen, &captures, &[])?;
    h2load(&format!("http://{}/predict", sidecar.listen), rate * SECONDS, 4, None)?;
    sidecar.process.signal(Signal::TERM)?;
    sidecar.process.wait()?;

    let runs = scratch.path().join("runs");
    let finished = understudy(&[
        "replay",
        &captures.to_string_lossy(),
        "--candidate",
        &format!("target=http://{}", app.listen),
        "--rate",
        &rate.to_string(),
        "--iterations=1",
        "--quiet",
        "--out",
        &runs.to_string_lossy(),
    ])?;
    let run =
        std::fs::read_dir(&runs).with_context(|| format!("{finished:?}"))?.next().context("a run")??.path();
    let run: Value = serde_json::from_str(&std::fs::read_to_string(run.join("run.json"))?)?;
    Ok(run["certificates"][0].clone())
}

/// p50 and p99 of the lateness of tokio's timer, milliseconds.
fn tokio_lag(rate: u64) -> Result<(f64, f64)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut lateness: Vec<f64> = runtime.block_on(async {
        let anchor = Instant::now() + Duration::from_millis(100);
        let mut lateness = Vec::new();
        for n in 0..rate * SECONDS / 2 {
            let intended = anchor + Duration::from_nanos(n * 1_000_000_000 / rate);
            tokio::time::sleep_until(intended.into()).await;
            lateness.push(intended.elapsed().as_secs_f64() * 1e3);
        }
        lateness
    });
    lateness.sort_by(f64::total_cmp);
    let at = |q: f64| lateness.get(((lateness.len() as f64 * q).ceil() as usize).saturating_sub(1)).copied();
    at(0.5).zip(at(0.99)).context("there are samples")
}
