//! What the sidecar adds to the time of a request, beside nginx, haproxy, and a direct connection.
//!
//! h2load is the client: independent, it logs each request's time in microseconds. It measures from the actual send,
//! which is honest only as long as no answer delays the next request of its connection; so requests are spread over many
//! connections, and answers that took longer than the pause between two requests are counted beside the figures.

use std::io::Write;

use anyhow::Result;
use rustix::process::Signal;
use understudy_tests::peers::{Haproxy, Nginx, h2load_times};
use understudy_tests::programs::Sidecar;

use crate::sidecar::BODY;
use crate::table;

const ROUNDS: usize = 9;
const SECONDS: u32 = 3;
/// Requests a second.
const RATE: u32 = 1_000;
const CONNECTIONS: u32 = 50;

/// Milliseconds, one of each a round.
#[derive(Default)]
struct Times {
    p50: Vec<f64>,
    p99: Vec<f64>,
    /// Requests a second, as measured.
    rate: Vec<f64>,
    /// Answers that may have delayed the next request, of all rounds.
    late: usize,
}

/// Prints the table.
pub(crate) fn run(out: &mut dyn Write) -> Result<()> {
    let app = Nginx::answering()?;
    let nginx = Nginx::forwarding(&app.listen)?;
    let haproxy = Haproxy::forwarding(&app.listen)?;
    let scratch = tempfile::tempdir()?;
    let sidecar = Sidecar::start(&app.listen, &scratch.path().join("captures"), &[])?;
    let body = scratch.path().join("body.json");
    std::fs::write(&body, BODY)?;

    let ways = [
        ("direct", &app.listen),
        ("nginx `proxy_pass`", &nginx.listen),
        ("haproxy", &haproxy.listen),
        ("sidecar, recording on", &sidecar.listen),
    ];
    let mut times: Vec<Times> = ways.iter().map(|_| Times::default()).collect();
    // Rounds alternate and begin with another each; the first only warms up.
    for round in 0..=ROUNDS {
        for turn in 0..ways.len() {
            let way = (round + turn) % ways.len();
            let url = format!("http://{}/predict", ways[way].1);
            let (load, mut sample) = h2load_times(&url, RATE, CONNECTIONS, SECONDS, &body)?;
            anyhow::ensure!(load.failed == 0, "{} failed {} requests", ways[way].0, load.failed);
            if round > 0 {
                times[way].take(&mut sample, load.done as f64 / load.seconds);
            }
        }
    }
    sidecar.process.signal(Signal::TERM)?;
    sidecar.process.wait()?;

    writeln!(out, "### Sidecar: time added to a request, milliseconds\n")?;
    writeln!(
        out,
        "POST of a 50-byte text at {RATE} requests a second, spread over {CONNECTIONS} kept connections (h2load); medians \
         (and span) of the quantiles of {ROUNDS} alternating rounds of {SECONDS} s. *Added* is the median of the differences \
         to the direct connection of the same round. *Late* are answers that took longer than the pause between two requests \
         of a connection.\n"
    )?;
    let head = ["", "p50", "added", "p99", "added", "requests a second", "late"];
    let rows: Vec<Vec<String>> =
        ways.iter().zip(&times).map(|((name, _), of)| of.row(name, &times[0])).collect();
    table::write(out, &head, &rows)
}

// === impl Times ===

impl Times {
    /// Adds a round.
    fn take(&mut self, sample: &mut [f64], rate: f64) {
        sample.sort_by(f64::total_cmp);
        let rank = |q: f64| ((sample.len() as f64 * q).ceil() as usize).clamp(1, sample.len()) - 1;
        self.p50.push(sample[rank(0.5)]);
        self.p99.push(sample[rank(0.99)]);
        self.rate.push(rate);
        let pause = f64::from(CONNECTIONS) / f64::from(RATE) * 1e3;
        self.late += sample.iter().filter(|time| **time > pause).count();
    }

    fn row(&self, name: &str, direct: &Times) -> Vec<String> {
        let figure = |samples: &[f64]| {
            let (low, high) = table::span(samples);
            format!("{:.3} ({low:.3}-{high:.3})", table::median(samples))
        };
        let added = |samples: &[f64], direct: &[f64]| {
            let differences: Vec<f64> = samples.iter().zip(direct).map(|(a, b)| a - b).collect();
            format!("{:+.3}", table::median(&differences))
        };
        vec![
            name.to_owned(),
            figure(&self.p50),
            added(&self.p50, &direct.p50),
            figure(&self.p99),
            added(&self.p99, &direct.p99),
            format!("{:.0}", table::median(&self.rate)),
            self.late.to_string(),
        ]
    }
}
